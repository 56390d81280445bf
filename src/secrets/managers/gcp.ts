/** Google Cloud Secret Manager, as a service account (https://developers.google.com/identity/protocols/oauth2/service-account). */
import { sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { GcpConfig } from '../../config/secret-managers.ts'
import { ask, refusal } from '../http.ts'
import { SecretFailure, type SecretManager, type Surroundings } from '../secret.ts'

interface Account {
  client_email: string
  private_key: string
  project_id: string
  token_uri: string
  scope: string
  entries_uri: string
}

interface Token {
  header: string
  /** Epoch milliseconds. */
  expires: number
}

const defaults = {
  token_uri: 'https://oauth2.googleapis.com/token',
  scope: 'https://www.googleapis.com/auth/cloud-platform',
  entries_uri: 'https://secretmanager.googleapis.com/v1',
}
const tokenLifeSeconds = 3600
/** A token that is about to expire is not used any more. */
const marginMs = 60_000

export function gcp(config: GcpConfig, { cwd, now }: Surroundings): SecretManager {
  const { ssl_verify: verify = true } = config
  let token: Promise<Token> | undefined
  /** Of the token; epoch milliseconds. */
  let expires = 0

  return {
    candidates(key) {
      const slash = key.indexOf('/')
      return [slash === -1 ? { name: key } : { name: key.slice(0, slash), member: key.slice(slash + 1) }]
    },
    async read(name, signal) {
      const account = await accountOf(config, cwd)
      const { header } = await currentToken(account, signal)
      const path = ['projects', account.project_id, 'secrets', name].map(encodeURIComponent).join('/')
      const url = new URL(`${account.entries_uri}/${path}/versions/latest:access`)
      const answer = await ask({ method: 'GET', url, headers: { Authorization: header }, verify }, signal)
      if (answer.status === 404) return undefined
      const data = (answer.json as { payload?: { data?: unknown } } | undefined)?.payload?.data
      if (answer.status !== 200 || typeof data !== 'string') throw refusal(answer)
      return { text: Buffer.from(data, 'base64').toString('utf8') }
    },
  }

  /** One for all secrets that are read meanwhile. */
  function currentToken(account: Account, signal: AbortSignal): Promise<Token> {
    if (token !== undefined && expires - marginMs > now()) return token
    const asked = newToken(account, signal)
    token = asked
    expires = Number.POSITIVE_INFINITY
    asked.then(
      (made) => {
        expires = made.expires
      },
      () => {
        if (token === asked) token = undefined
      },
    )
    return asked
  }

  async function newToken(account: Account, signal: AbortSignal): Promise<Token> {
    const answer = await ask(
      {
        method: 'POST',
        url: new URL(account.token_uri),
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({
          grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
          assertion: assertion(account, now()),
        }).toString(),
        verify,
      },
      signal,
    )
    const {
      access_token: text,
      token_type: type = 'Bearer',
      expires_in: seconds = tokenLifeSeconds,
    } = (answer.json ?? {}) as { access_token?: string; token_type?: string; expires_in?: number }
    if (answer.status !== 200 || typeof text !== 'string') throw refusal(answer)
    return { header: `${type} ${text}`, expires: now() + seconds * 1000 }
  }
}

async function accountOf(config: GcpConfig, cwd: string): Promise<Account> {
  const written: Partial<Omit<Account, 'scope'>> & { scope?: string[] | string } =
    config.auth_config ?? (await accountFile(resolve(cwd, config.auth_file ?? '')))
  const { client_email, private_key, project_id, scope = defaults.scope } = written
  if (client_email === undefined || private_key === undefined || project_id === undefined) {
    throw new SecretFailure('unavailable', 'the file of its service account is not complete')
  }
  return {
    client_email,
    private_key,
    project_id,
    token_uri: written.token_uri ?? defaults.token_uri,
    entries_uri: written.entries_uri ?? defaults.entries_uri,
    scope: Array.isArray(scope) ? scope.join(' ') : scope,
  }
}

async function accountFile(path: string): Promise<Partial<Account>> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Partial<Account>
  } catch {
    throw new SecretFailure('unavailable', 'the file of its service account cannot be read')
  }
}

/** A JWT of the account about itself (RFC 7523), signed with RS256. */
function assertion(
  { client_email: iss, token_uri: aud, scope, private_key: key }: Account,
  now: number,
): string {
  const iat = Math.floor(now / 1000)
  const text = [
    { alg: 'RS256', typ: 'JWT' },
    { iss, aud, scope, iat, exp: iat + tokenLifeSeconds },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  try {
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
  } catch {
    throw new SecretFailure('unavailable', 'the private key of its service account cannot be used')
  }
}
