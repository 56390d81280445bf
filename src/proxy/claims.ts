/**
 * Claims of the JSON Web Token that a request carries as its bearer token. Nothing is verified here: for routing and logs
 * a claim is worth what any other field of the request is worth. A policy that authenticates looks for itself.
 */
import { inBytes } from '../config/regular-expression.ts'
import type { Value } from './body-variables.ts'
import type { Exchange } from './exchange.ts'

/** Undefined when there is no token, or no such claim in it. */
export function bearerClaim(x: Exchange, name: string): Value {
  const authorization = x.request.headers.get('authorization')
  const match = authorization === undefined ? null : bearer.exec(authorization)
  if (match === null) return undefined
  const claims = claimsOf(match[1]!)
  if (!Object.hasOwn(claims, name)) return undefined
  const claim = (claims as Record<string, unknown>)[name]
  if (typeof claim === 'string') return inBytes(claim)
  return Array.isArray(claim)
    ? claim.map((item) => (typeof item === 'string' ? inBytes(item) : item))
    : (claim as Value)
}

/** RFC 6750 section 2.1, or the token alone as `jwt-auth` takes it, with the payload of a compact JWS (RFC 7515 section 7.1). */
const bearer = /^(?:bearer +)?[\w-]+\.([\w-]+)\.[\w-]*$/i

/** Several conditions look at one token: the last payload is kept. */
let lastPayload = ''
let lastClaims: object = {}

function claimsOf(payload: string): object {
  if (payload !== lastPayload) {
    lastPayload = payload
    lastClaims = parsed(payload)
  }
  return lastClaims
}

function parsed(payload: string): object {
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    return typeof claims === 'object' && claims !== null && !Array.isArray(claims) ? claims : {}
  } catch {
    return {}
  }
}
