/** A service account of Google: signs assertions (RFC 7523) and keeps the access token that it gets for one. */
import { sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { HttpSink } from './logging/http-sink.ts'

export interface AccountFacts {
  client_email: string
  private_key: string
  project_id: string
  token_uri?: string
  entries_uri?: string
  scope?: readonly string[] | string | undefined
  scopes?: readonly string[] | string | undefined
}

export interface Access {
  projectId: string
  entriesUri: string
  /** Value of `Authorization`. */
  authorization: string
}

const hour = 3600

/** How long a token is used, in seconds. */
export interface TokenUse {
  /** Before its end it is not used any more. Default: 60. */
  readonly margin?: number
  /** However long it holds. */
  readonly longest?: number
}

export class Account {
  readonly #source: AccountFacts | string
  readonly #sink: HttpSink
  readonly #now: () => number
  readonly #use: TokenUse
  #facts: AccountFacts | undefined
  #authorization = ''
  #expires = 0
  #asking: Promise<void> | undefined

  /** @param source the account, or the file that it stands in */
  constructor(source: AccountFacts | string, sink: HttpSink, now: () => number, use: TokenUse = {}) {
    this.#source = source
    this.#sink = sink
    this.#now = now
    this.#use = use
  }

  /** @throws Error without anything of the account's key */
  async access(): Promise<Access> {
    this.#facts ??= typeof this.#source === 'string' ? await read(this.#source) : this.#source
    const facts = this.#facts
    if (this.#now() / 1000 >= this.#expires) {
      this.#asking ??= this.#ask(facts).finally(() => {
        this.#asking = undefined
      })
      await this.#asking
    }
    return {
      projectId: facts.project_id,
      entriesUri: facts.entries_uri ?? 'https://logging.googleapis.com/v2/entries:write',
      authorization: this.#authorization,
    }
  }

  async #ask(facts: AccountFacts): Promise<void> {
    const uri = facts.token_uri ?? 'https://oauth2.googleapis.com/token'
    const body = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: this.#assertion(facts, uri),
    })
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const text = await this.#sink.post(new URL(uri), headers, body.toString())
    const { access_token: token, token_type: type, expires_in: lifetime } = parsed(text)
    if (typeof token !== 'string') throw new Error('no access token was given out')
    this.#authorization = `${typeof type === 'string' ? type : 'Bearer'} ${token}`
    const { margin = 60, longest = Number.POSITIVE_INFINITY } = this.#use
    const lasts = typeof lifetime === 'number' ? lifetime : hour
    this.#expires = this.#now() / 1000 + Math.min(lasts > margin ? lasts - margin : lasts, longest)
  }

  #assertion({ client_email: iss, private_key: key, ...facts }: AccountFacts, aud: string): string {
    const iat = Math.floor(this.#now() / 1000)
    const scope = [facts.scopes ?? facts.scope ?? 'https://www.googleapis.com/auth/cloud-platform']
      .flat()
      .join(' ')
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const signed = `${part({ alg: 'RS256', typ: 'JWT' })}.${part({ iss, aud, scope, iat, exp: iat + hour })}`
    try {
      return `${signed}.${sign('sha256', Buffer.from(signed), key).toString('base64url')}`
    } catch {
      throw new Error('the private key of the service account cannot be used')
    }
  }
}

async function read(file: string): Promise<AccountFacts> {
  const facts = parsed(await readFile(file, 'utf8').catch(() => ''))
  if (['client_email', 'private_key', 'project_id'].some((field) => typeof facts[field] !== 'string')) {
    throw new Error('the file with the service account cannot be used')
  }
  return facts as unknown as AccountFacts
}

function parsed(text: string): Record<string, unknown> {
  try {
    return (JSON.parse(text) ?? {}) as Record<string, unknown>
  } catch {
    return {}
  }
}
