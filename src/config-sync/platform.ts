/** The calls that make a registration and renew it. */
import { generateKeyPairSync } from 'node:crypto'
import type { Static, TSchema } from '../config/type.ts'
import { Connection, type ConnectionOptions, type ControlPlaneRequest, messageBounds } from './connection.ts'
import { sha256 } from './protocol/canonical.ts'
import { readDocument } from './protocol/document.ts'
import { keyIdOf } from './protocol/keys.ts'
import {
  accessTokenSchema,
  paths,
  type RegistrationRequest,
  registrationAnswerSchema,
  renewalAnswerSchema,
  type Trust,
  trustSchema,
} from './protocol/messages.ts'
import { readToken } from './protocol/token.ts'
import { createCertificateRequest } from './protocol/x509/certificate-request.ts'
import { assertPair, newStoreKey, type Registration, RegistrationError } from './registration.ts'

/** How a person or a program shows who it is; a token is for one registration. */
export type Credentials =
  | { username: string; password: string }
  | { clientId: string; clientSecret: string }
  | { token: string }

export interface PlatformOptions {
  /** Base URL. */
  url: string
  proxy?: string
  /** PEM, in place of the system's authorities. */
  ca?: string
}

export interface Wanted {
  name: string
  connected: boolean
  organization?: string
  environment?: string
  group?: string
  version: string
}

/** @throws RegistrationError, ConnectionFailure */
export async function register(
  platform: PlatformOptions,
  credentials: Credentials,
  wanted: Wanted,
): Promise<Registration> {
  const token = 'token' in credentials ? readToken(credentials.token) : undefined
  const trust = token?.trust === undefined ? undefined : await pinnedTrust(platform, token.trust)
  const connection = connect(platform, trust?.ca)
  try {
    const bearer = token?.secret ?? (await logIn(connection, credentials))
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const body: RegistrationRequest = { ...wanted, csr: createCertificateRequest(wanted.name, privateKey) }
    const answer = await call(connection, registrationAnswerSchema, {
      method: 'POST',
      path: paths.registrations,
      body,
      headers: { authorization: `Bearer ${bearer}` },
    })
    const { id, name, connected, group, organization, environment, region, certificate, ca, roots, urls } =
      answer
    if (trust !== undefined && !sameTrust(trust, { ca, roots })) {
      throw new RegistrationError(
        'the control plane answers with another trust than the token has the hash of',
      )
    }
    const key = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
    assertPair(certificate, key, platform.url)
    return {
      id,
      name,
      connected,
      group,
      organization,
      environment,
      region: region ?? 'local',
      platform: urls.platform,
      sync: urls.sync,
      ca,
      roots,
      certificate,
      key,
      storeKey: newStoreKey(),
    }
  } finally {
    await connection.close()
  }
}

/** With a new key. Root keys stay as they are. @throws RegistrationError, ConnectionFailure */
export async function renewWithCredentials(
  registration: Registration,
  credentials: Credentials,
  options: { proxy?: string; updateUrls: boolean; url?: string },
): Promise<Registration> {
  const { url = registration.platform, proxy, updateUrls } = options
  const connection = connect({ url, ...(proxy !== undefined && { proxy }) }, registration.ca)
  try {
    const bearer = 'token' in credentials ? credentials.token : await logIn(connection, credentials)
    return await renewOver(connection, registration, { authorization: `Bearer ${bearer}` }, updateUrls)
  } finally {
    await connection.close()
  }
}

/** Over a connection that has the registration's certificate, or with headers that say who asks. */
export async function renewOver(
  connection: Connection,
  registration: Registration,
  headers: Record<string, string> = {},
  updateUrls = false,
): Promise<Registration> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { certificate, ca, urls } = await call(connection, renewalAnswerSchema, {
    method: 'POST',
    path: paths.renewal(registration.id),
    body: { csr: createCertificateRequest(registration.id, privateKey) },
    headers,
  })
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
  assertPair(certificate, key, registration.platform)
  const renewed = { ...registration, certificate, key, ca }
  return updateUrls ? { ...renewed, platform: urls.platform, sync: urls.sync } : renewed
}

/** What a token has the hash of, over a connection that nothing vouches for. */
async function pinnedTrust(platform: PlatformOptions, hash: string): Promise<Trust> {
  const connection = new Connection({ ...connectionOptions(platform), verify: false })
  try {
    const { status, body } = await connection.ask({ ...messageBounds, method: 'GET', path: paths.trust })
    if (status !== 200 || sha256(body) !== hash) {
      throw new RegistrationError(
        `${platform.url} is not the control plane that the token came from, or somebody stands in between: the hash of its trust document differs`,
      )
    }
    return readDocument(trustSchema, body)
  } finally {
    await connection.close()
  }
}

function sameTrust(one: Trust, other: Trust): boolean {
  const ids = ({ roots }: Trust) => roots.map(keyIdOf).sort().join()
  return one.ca.trim() === other.ca.trim() && ids(one) === ids(other)
}

async function logIn(connection: Connection, credentials: Credentials): Promise<string> {
  if ('token' in credentials) return credentials.token
  const isUser = 'username' in credentials
  const answer = await call(connection, accessTokenSchema, {
    method: 'POST',
    path: isUser ? paths.login : paths.token,
    body: isUser
      ? credentials
      : {
          client_id: credentials.clientId,
          client_secret: credentials.clientSecret,
          grant_type: 'client_credentials',
        },
  })
  return answer.access_token
}

async function call<Schema extends TSchema>(
  connection: Connection,
  schema: Schema,
  request: Pick<ControlPlaneRequest, 'method' | 'path' | 'body' | 'headers'>,
): Promise<Static<Schema>> {
  const { status, body, url } = await connection.ask({ ...messageBounds, ...request })
  if (status >= 300)
    throw new RegistrationError(`${url} refuses: ${messageIn(body) ?? `status ${status}`}${hintFor(status)}`)
  try {
    return readDocument(schema, body)
  } catch (error) {
    throw new RegistrationError(`${url} gives an answer that cannot be used: ${(error as Error).message}`)
  }
}

/** What a control plane says is shown, bounded and without anything that a terminal would obey. */
export function messageIn(body: Buffer): string | undefined {
  try {
    const { message } = JSON.parse(body.toString('utf8')) as { message?: unknown }
    if (typeof message !== 'string' || message === '') return undefined
    return message.slice(0, 300).replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ')
  } catch {
    return undefined
  }
}

function hintFor(status: number): string {
  switch (status) {
    case 401:
      return ' (401): a token is for one registration and for 24 hours, so make a new one; with a user, check name and password, and that no second factor is asked for'
    case 403:
      return ' (403): the user or the connected app needs the scopes Read Servers, Manage Servers and View Organization'
    case 404:
      return ' (404): is this the URL of the control plane, and is the gateway still registered there?'
    case 409:
      return ' (409): choose another name, or delete the gateway of that name first'
    default:
      return ` (${status})`
  }
}

function connect(platform: PlatformOptions, ca: string | undefined): Connection {
  return new Connection({ ...connectionOptions(platform), ...(ca !== undefined && { ca }) })
}

function connectionOptions({ url, proxy, ca }: PlatformOptions): ConnectionOptions {
  return { urls: [url], ...(proxy !== undefined && { proxy }), ...(ca !== undefined && { ca }) }
}
