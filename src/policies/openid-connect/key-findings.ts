import { createPrivateKey, createPublicKey } from 'node:crypto'
import { thumbprintMembers } from './possession.ts'
import type { Settings } from './settings.ts'

/** What is wrong with keys, and with what is to be signed with them, as APISIX says it. */

type PublicKey = Readonly<Record<string, unknown>>

/** Names of the library below APISIX's policy, and what stands in their place. */
export const reservedNames: Readonly<Record<string, string>> = {
  use_par: 'par.enabled',
  pushed_authorization_request_endpoint: 'par.endpoint',
  pushed_authorization_request_endpoint_auth_method: 'par.endpoint_auth_method',
  use_dpop: 'dpop.enabled',
  dpop_signing_alg: 'dpop.signing_alg',
  dpop_private_key: 'dpop.private_key',
  dpop_public_jwk: 'dpop.public_jwk',
}

/** The credential that a method of identifying the client needs. */
export const credentialOf: Readonly<Record<string, 'client_rsa_private_key' | 'client_secret' | undefined>> =
  {
    private_key_jwt: 'client_rsa_private_key',
    client_secret_jwt: 'client_secret',
  }

const keyKinds: Readonly<Record<string, { kty: string; crv?: string }>> = {
  ES256: { kty: 'EC', crv: 'P-256' },
  ES512: { kty: 'EC', crv: 'P-521' },
  RS256: { kty: 'RSA' },
  RS512: { kty: 'RSA' },
  PS256: { kty: 'RSA' },
}
/** Which members of a key are compared and asked for, in the order in which they are told. */
const members: Readonly<Record<string, readonly string[]>> = { EC: ['crv', 'x', 'y'], RSA: ['e', 'n'] }

/** Undefined: nothing is wrong. */
export function keyFinding(config: Settings): string | undefined {
  const given = config as unknown as Readonly<Record<string, unknown>>
  for (const [name, owner] of Object.entries(reservedNames)) {
    if (given[name] !== undefined) return `property "${name}" is not allowed, use "${owner}" instead`
  }
  return possessionFinding(config.dpop) ?? assertionFinding(config) ?? pushFinding(config)
}

function possessionFinding(dpop: Settings['dpop']): string | undefined {
  if (!dpop?.enabled) return undefined
  const jwk: PublicKey = dpop.public_jwk ?? {}
  const place = 'property "dpop.public_jwk"'
  const kty = String(jwk.kty)
  const needed = Object.hasOwn(thumbprintMembers, kty) ? members[kty] : undefined
  if (needed === undefined) return `${place} validation failed: kty "${kty}" is not supported`
  for (const name of needed) {
    if (jwk[name] === undefined)
      return `${place} validation failed: kty "${kty}" requires ${needed.join(', ')}`
    if (typeof jwk[name] !== 'string' || jwk[name] === '')
      return `${place} validation failed: "${name}" must be a non-empty string`
  }
  const { signing_alg: algorithm, private_key: pem } = dpop
  const expected = keyKinds[algorithm]!
  const sign = `property "dpop.signing_alg" "${algorithm}" requires`
  if (expected.kty !== kty) return `${sign} an ${expected.kty} "dpop.public_jwk"`
  if (expected.crv !== undefined && jwk.crv !== expected.crv)
    return `${sign} "dpop.public_jwk" crv "${expected.crv}", got "${jwk.crv}"`
  if (pem === undefined || isReference(pem)) return undefined
  const own = publicKeyOf(pem, 'dpop.private_key')
  if (typeof own === 'string') return own
  const other = ['kty', ...needed].find((name) => own[name] !== jwk[name])
  return other === undefined
    ? undefined
    : `${place} is not the public key of "dpop.private_key": ${other} is "${own[other]}"`
}

/** One algorithm signs for every endpoint that is asked, and has to be one for the key. */
function assertionFinding(config: Settings): string | undefined {
  const algorithm = config.client_jwt_assertion_alg
  if (algorithm === undefined) return undefined
  const uses = usedMethods(config)
  const withKey = uses.find(({ method }) => method === 'private_key_jwt')?.field
  const withSecret = uses.find(({ method }) => method === 'client_secret_jwt')?.field
  const field = 'property "client_jwt_assertion_alg"'
  if (withKey !== undefined && withSecret !== undefined) {
    return `${field} is a single algorithm, but "${withKey}" selects private_key_jwt and "${withSecret}" selects client_secret_jwt`
  }
  const isSymmetric = algorithm.startsWith('HS')
  if (withKey !== undefined && isSymmetric)
    return `${field} "${algorithm}" is symmetric and cannot be used with the private_key_jwt selected by "${withKey}"`
  if (withSecret !== undefined && !isSymmetric)
    return `${field} "${algorithm}" is asymmetric and cannot be used with the client_secret_jwt selected by "${withSecret}"`
  const { client_rsa_private_key: pem } = config
  const expected = withKey === undefined ? undefined : keyKinds[algorithm]
  if (expected === undefined || pem === undefined || isReference(pem)) return undefined
  const own = publicKeyOf(pem, 'client_rsa_private_key')
  if (typeof own === 'string') return own
  if (own.kty !== expected.kty)
    return `${field} "${algorithm}" requires an ${expected.kty} "client_rsa_private_key"`
  return expected.crv === undefined || own.crv === expected.crv
    ? undefined
    : `${field} "${algorithm}" requires a "client_rsa_private_key" on curve "${expected.crv}", got "${own.crv}"`
}

/** How the client identifies itself at the endpoints that this configuration can ask. */
function usedMethods(config: Settings): { field: string; method: string }[] {
  const uses: { field: string; method: string }[] = []
  const verifies = config.public_key !== undefined || config.use_jwks
  if (!verifies && (config.bearer_only || config.introspection_endpoint !== undefined)) {
    const field = 'introspection_endpoint_auth_method'
    uses.push({ field, method: config[field] })
  }
  if (config.bearer_only) return uses
  const { token_endpoint_auth_method: method, par } = config
  if (isUsable(config, method)) uses.push({ field: 'token_endpoint_auth_method', method })
  if (par?.enabled && par.endpoint_auth_method !== undefined)
    uses.push({ field: 'par.endpoint_auth_method', method: par.endpoint_auth_method })
  return uses
}

function pushFinding(config: Settings): string | undefined {
  const { bearer_only: bearerOnly, par } = config
  const method = par?.endpoint_auth_method
  if (bearerOnly || !par?.enabled || method === undefined || isUsable(config, method)) return undefined
  return `property "par.endpoint_auth_method" "${method}" requires "${credentialOf[method]}" when "par.enabled" is true`
}

/** Whether the client has what this method of identifying itself needs. */
export function isUsable(config: Settings, method: string): boolean {
  const credential = credentialOf[method]
  return credential === undefined || config[credential] !== undefined
}

/** The finding when it is no private key. */
function publicKeyOf(pem: string, field: string): PublicKey | string {
  try {
    return createPublicKey(createPrivateKey(pem).export({ format: 'pem', type: 'pkcs8' })).export({
      format: 'jwk',
    }) as PublicKey
  } catch (error) {
    if (isPublicKey(pem)) return `property "${field}" has no private key in it`
    return `property "${field}" is not a valid key: ${(error as { code?: string }).code ?? 'it cannot be read'}`
  }
}

function isPublicKey(pem: string): boolean {
  try {
    return createPublicKey(pem).type === 'public' && !pem.includes('PRIVATE')
  } catch {
    return false
  }
}

/** What a secret manager knows is looked at when it is there. */
const isReference = (value: string) => /^\$(secret|env):\/\//i.test(value)
