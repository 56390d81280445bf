/** A registration out of the environment variables that API7's install scripts set, in both spellings. */
import { hash, X509Certificate } from 'node:crypto'
import { checkSchema } from '../config/schema.ts'
import { Type } from '../config/type.ts'
import { type PublicKey, publicKeySchema } from './protocol/keys.ts'
import { assertPair, type Registration, RegistrationError } from './registration.ts'
import { endpointVariables } from './registration-search.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Where API7's own names differ between its scripts. */
const spellings = {
  endpoints: endpointVariables,
  certificate: ['API7_CONTROL_PLANE_CERT', 'API7_DP_MANAGER_CERT'],
  key: ['API7_CONTROL_PLANE_KEY', 'API7_DP_MANAGER_KEY'],
  serverName: ['API7_CONTROL_PLANE_SNI', 'API7_DP_MANAGER_SNI'],
  ca: ['API7_CONTROL_PLANE_CA'],
  group: ['API7_GATEWAY_GROUP_SHORT_ID'],
  token: ['API7_CONTROL_PLANE_TOKEN'],
  /** Ours: without keys to verify configuration with, there is none to believe. */
  roots: ['SLUICE_CONFIGURATION_ROOTS'],
} as const

/** Undefined: the environment names no control plane. @throws RegistrationError when it names one, and not all of it */
export function registrationOfEnvironment(env: Environment): Registration | undefined {
  const value = (name: keyof typeof spellings) => spellings[name].map((one) => env[one]).find((text) => text)
  const endpoints = value('endpoints')
  if (endpoints === undefined) return undefined
  const required = (name: keyof typeof spellings) => {
    const text = value(name)
    if (text === undefined) {
      throw new RegistrationError(
        `the environment names a control plane, so it has to give ${spellings[name].join(' or ')} too`,
      )
    }
    return text
  }
  const certificate = pem(required('certificate'))
  const key = pem(required('key'))
  assertPair(certificate, key, spellings.certificate[0])
  const sync = listOf(endpoints, spellings.endpoints[0])
  const group = required('group')
  const serverName = value('serverName')
  const token = value('token')
  return {
    id: commonName(certificate),
    name: env.HOSTNAME ?? 'gateway',
    connected: true,
    region: 'local',
    organization: '',
    environment: '',
    group: { id: group, name: group },
    platform: sync[0]!,
    sync,
    ca: pem(required('ca')),
    roots: rootsOf(required('roots')),
    certificate,
    key,
    storeKey: hash('sha256', `sluice kept\0${key}`, 'base64url'),
    ...(serverName !== undefined && { serverName }),
    ...(token !== undefined && { token }),
  }
}

/** Line feeds are often written as `\n` in an environment. */
const pem = (text: string) => text.replaceAll('\\n', '\n')

function commonName(certificate: string): string {
  const { subject, fingerprint256 } = new X509Certificate(certificate)
  return /^CN=(.+)$/m.exec(subject ?? '')?.[1] ?? fingerprint256
}

/** A JSON array, or URLs with commas between them. */
function listOf(text: string, name: string): string[] {
  const list: unknown = text.trimStart().startsWith('[')
    ? parsed(text)
    : text.split(',').map((url) => url.trim())
  const isFine =
    Array.isArray(list) &&
    list.length > 0 &&
    list.every((url) => URL.parse(String(url))?.protocol === 'https:')
  if (!isFine) throw new RegistrationError(`${name} must be a JSON array of https:// URLs`)
  return list.map(String)
}

function rootsOf(text: string): PublicKey[] {
  const roots = parsed(text)
  const [problem] = checkSchema(Type.Array(publicKeySchema, { minItems: 1 }), roots)
  if (problem !== undefined) {
    throw new RegistrationError(
      `${spellings.roots[0]} must be a JSON array of Ed25519 keys as JWK, as the control plane's /sync/v1/trust shows them`,
    )
  }
  return roots as PublicKey[]
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
