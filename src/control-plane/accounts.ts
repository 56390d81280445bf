/** Who may do what: users with passwords, connected applications, admin keys, and the access tokens of the first two. */
import { randomBytes, randomUUID } from 'node:crypto'
import { sha256 } from '../config-sync/protocol/index.ts'
import { Attempts } from './attempts.ts'
import type { Collection, Database } from './database.ts'
import { hashPassword, verifyPassword } from './password.ts'
import { Problem } from './problem.ts'

/** The first three are those of Anypoint's connected applications. */
export const scopes = [
  'Read Servers',
  'Manage Servers',
  'View Organization',
  'Read Configuration',
  'Manage Configuration',
  'Manage Access',
] as const
export type Scope = (typeof scopes)[number]

export const roles = {
  admin: scopes,
  viewer: ['Read Servers', 'View Organization', 'Read Configuration'],
} as const

/** Who asks. */
export interface Principal {
  kind: 'user' | 'application' | 'key'
  id: string
  name: string
  scopes: readonly string[]
  /** Id of the one gateway group that it may see; absent: all. */
  group?: string
}

export interface User {
  id: string
  username: string
  password: string
  scopes: string[]
  created: number
}

export interface Application {
  client_id: string
  name: string
  secret: string
  scopes: string[]
  created: number
}

export interface AdminKey {
  id: string
  name: string
  role: 'admin' | 'viewer'
  group?: string
  created: number
}

interface AccessToken {
  kind: 'user' | 'application'
  id: string
  expires: number
}

/** Seconds. */
const accessTokenLife = 3600
/** Of wrong passwords: for one name, and from one address. */
const byName = { most: 5, forgottenAfterMs: 60_000 }
const byAddress = { most: 20, forgottenAfterMs: 5000 }

export class Accounts {
  readonly users: Collection<User>
  readonly applications: Collection<Application>
  readonly keys: Collection<AdminKey>
  readonly #database: Database
  readonly #tokens: Collection<AccessToken>
  readonly #names: Attempts
  readonly #addresses: Attempts
  /** Milliseconds since 1970. */
  readonly #clock: () => number

  constructor(database: Database, clock: () => number) {
    this.#database = database
    this.#clock = clock
    this.users = database.collection('users')
    this.applications = database.collection('applications')
    this.keys = database.collection('keys')
    this.#tokens = database.collection('access-tokens')
    this.#names = new Attempts(byName, clock)
    this.#addresses = new Attempts(byAddress, clock)
  }

  async addUser(username: string, password: string, granted: readonly string[]): Promise<User> {
    if (this.#userCalled(username) !== undefined)
      throw new Problem(409, `there is a user ${username} already`)
    const user = {
      id: randomUUID(),
      username,
      password: await hashPassword(password),
      scopes: [...granted],
      created: this.#now(),
    }
    if (this.#userCalled(username) !== undefined)
      throw new Problem(409, `there is a user ${username} already`)
    this.users.put(user.id, user)
    return user
  }

  async setPassword(id: string, password: string): Promise<void> {
    const hash = await hashPassword(password)
    const user = this.users.get(id)
    if (user === undefined) throw new Problem(404, `there is no user ${id}`)
    this.#database.commit([this.users.change(id, { ...user, password: hash }), ...this.#tokensOf('user', id)])
  }

  /** Its access tokens go with it. */
  removeUser(id: string): void {
    if (this.users.get(id) === undefined) throw new Problem(404, `there is no user ${id}`)
    this.#database.commit([this.users.change(id, undefined), ...this.#tokensOf('user', id)])
  }

  /** @returns the application with its secret, which is not shown again */
  async addApplication(
    name: string,
    granted: readonly string[],
  ): Promise<Application & { client_secret: string }> {
    const client_secret = randomBytes(32).toString('base64url')
    const application = {
      client_id: randomBytes(16).toString('hex'),
      name,
      secret: await hashPassword(client_secret),
      scopes: [...granted],
      created: this.#now(),
    }
    this.applications.put(application.client_id, application)
    return { ...application, client_secret }
  }

  removeApplication(id: string): void {
    if (this.applications.get(id) === undefined) throw new Problem(404, `there is no application ${id}`)
    this.#database.commit([this.applications.change(id, undefined), ...this.#tokensOf('application', id)])
  }

  /** @returns the key, which is not shown again: its hash alone is kept */
  addKey({ name, role, group }: Pick<AdminKey, 'name' | 'role' | 'group'>): { key: string; entry: AdminKey } {
    const key = `a7adm-${randomBytes(32).toString('base64url')}`
    const entry: AdminKey = {
      id: randomUUID(),
      name,
      role,
      created: this.#now(),
      ...(group !== undefined && { group }),
    }
    this.keys.put(sha256(key), entry)
    return { key, entry }
  }

  /** Undefined: nobody has it. It is looked up by its hash, so that the time it takes tells nothing. */
  principalOfKey(key: string): Principal | undefined {
    const found = this.keys.get(sha256(key))
    if (found === undefined) return undefined
    const { id, name, role, group } = found
    return { kind: 'key', id, name, scopes: roles[role], ...(group !== undefined && { group }) }
  }

  principalOfToken(token: string): Principal | undefined {
    const found = this.#tokens.get(sha256(token))
    if (found === undefined || found.expires <= this.#now()) return undefined
    const { kind, id } = found
    if (kind === 'user') {
      const user = this.users.get(id)
      return user && { kind, id, name: user.username, scopes: user.scopes }
    }
    const application = this.applications.get(id)
    return application && { kind, id, name: application.name, scopes: application.scopes }
  }

  /** An access token for a user. @throws Problem 401, 429 */
  async login(username: string, password: string, address: string) {
    const user = this.#userCalled(username)
    await this.#attempt(`user ${username}`, address, password, user?.password)
    return this.#issue('user', user!.id)
  }

  /** An access token for an application. @throws Problem 401, 429 */
  async grant(clientId: string, secret: string, address: string) {
    const application = this.applications.get(clientId)
    await this.#attempt(`application ${clientId}`, address, secret, application?.secret)
    return this.#issue('application', clientId)
  }

  /** Whether somebody at that address may try a secret of any kind now; counts it. @throws Problem 429 */
  count(address: string): void {
    refuse(this.#addresses.wait(address))
    this.#addresses.add(address)
  }

  /** It was right. */
  uncount(address: string): void {
    this.#addresses.forget(address)
  }

  async #attempt(who: string, address: string, secret: string, kept: string | undefined): Promise<void> {
    refuse(Math.max(this.#names.wait(who), this.#addresses.wait(address)))
    this.#names.add(who)
    this.#addresses.add(address)
    if (!(await verifyPassword(secret, kept))) throw new Problem(401, 'the name or the secret is wrong')
    this.#names.forget(who)
    this.#addresses.forget(address)
  }

  #issue(kind: 'user' | 'application', id: string) {
    const token = randomBytes(32).toString('base64url')
    const now = this.#now()
    const old = [...this.#tokens.entries()].filter(([, { expires }]) => expires <= now)
    this.#database.commit([
      this.#tokens.change(sha256(token), { kind, id, expires: now + accessTokenLife }),
      ...old.map(([hash]) => this.#tokens.change(hash, undefined)),
    ])
    return { access_token: token, token_type: 'bearer', expires_in: accessTokenLife }
  }

  #tokensOf(kind: 'user' | 'application', id: string) {
    return [...this.#tokens.entries()]
      .filter(([, token]) => token.kind === kind && token.id === id)
      .map(([hash]) => this.#tokens.change(hash, undefined))
  }

  #userCalled(username: string): User | undefined {
    return this.users.all().find((user) => user.username === username)
  }

  #now(): number {
    return Math.floor(this.#clock() / 1000)
  }
}

function refuse(wait: number): void {
  if (wait > 0) {
    throw new Problem(429, 'too many attempts, try again later', { headers: { 'Retry-After': String(wait) } })
  }
}
