import { requestScope, textOrExpression } from '../kit/dataweave/index.ts'
import {
  type Algorithm,
  type Exchange,
  jsonOf,
  KeySet,
  type PolicyHost,
  RemoteDocument,
  readKeySet,
  type Token,
  type Verifier,
  verifierOf,
} from '../kit/index.ts'

/** Whether a key signed the token. @throws KeysAbsentError */
export type KeySource = (token: Token, exchange: Exchange) => Promise<boolean> | boolean

/** There is no key, for reasons that are not the caller's. */
export class KeysAbsentError extends Error {}

type Method = 'rsa' | 'hmac' | 'es'

interface KeyConfig {
  signingMethod: 'none' | Method
  signingKeyLength: 256 | 384 | 512
  jwtKeyOrigin: 'text' | 'jwks' | 'customExpression'
  textKey?: string
  customKeyExpression?: string
  urls: readonly string[]
  jwksServiceTimeToLive: number
  jwksServiceConnectionTimeout: number
  ssl_verify: boolean
}

const prefixes = { rsa: 'RS', hmac: 'HS', es: 'ES' } as const
const largestSet = 512 * 1024
/** Keys that expressions gave and that stay known. */
const mostKeys = 100

const algorithmOf = (method: Method, bits: number) => `${prefixes[method]}${bits}` as Algorithm

export function keySource(config: KeyConfig, host: Pick<PolicyHost, 'calls' | 'now'>): KeySource {
  const method = config.signingMethod as Method
  const algorithm = algorithmOf(method, config.signingKeyLength)
  switch (config.jwtKeyOrigin) {
    case 'text':
      return verifierOfText(config.textKey!, method, algorithm)
    case 'jwks':
      return published(config, algorithm, host)
    default: {
      const expression = textOrExpression(config.customKeyExpression!)
      const known = new Map<string, Verifier>()
      return (token, exchange) => {
        let text: string
        try {
          text = expression.text(requestScope(exchange))
        } catch {
          return false
        }
        if (keyProblem(text, method, config.signingKeyLength) !== undefined) return false
        let verifier = known.get(text)
        if (verifier === undefined) {
          verifier = verifierOfText(text, method, algorithm)
          if (known.size >= mostKeys) known.clear()
          known.set(text, verifier)
        }
        return verifier(token)
      }
    }
  }
}

function published(
  {
    urls,
    jwksServiceTimeToLive: minutes,
    jwksServiceConnectionTimeout: timeout,
    ssl_verify: verify,
  }: KeyConfig,
  algorithm: Algorithm,
  host: Pick<PolicyHost, 'calls' | 'now'>,
): KeySource {
  const calls = host.calls({ timeout, largestAnswer: largestSet, verify })
  const sets = urls.map(
    (url) =>
      new KeySet(
        new RemoteDocument(
          async () => {
            const answer = await calls.call({ method: 'GET', url, headers: { accept: 'application/json' } })
            if (answer.status !== 200) throw new Error(`a key set was answered with ${answer.status}`)
            return readKeySet(jsonOf(answer))
          },
          () => host.now(),
          { goodFor: minutes * 60_000 },
        ),
      ),
  )
  return async (token) => {
    if (token.header.alg !== algorithm) return false
    let failure: unknown
    for (const set of sets) {
      try {
        if (await set.verifies(token)) return true
      } catch (error) {
        failure = error
      }
    }
    if (failure !== undefined) throw new KeysAbsentError((failure as Error).message)
    return false
  }
}

/** What is wrong with a key; undefined: nothing. */
export function keyProblem(text: string, method: Method, bits: number): string | undefined {
  if (method === 'hmac') {
    const least = { 256: 32, 384: 48, 512: 64 }[bits]!
    return text.length < least ? `a key for ${bits} bits has ${least} characters at least` : undefined
  }
  try {
    verifierOfText(text, method, algorithmOf(method, bits))
    return undefined
  } catch {
    return `is no public key for ${algorithmOf(method, bits)}`
  }
}

/** @throws Error when it is no key for that */
function verifierOfText(text: string, method: Method, algorithm: Algorithm): Verifier {
  if (method === 'hmac') return verifierOf({ algorithm, secret: text })
  return verifierOf({ algorithm, public_key: pemOf(text) })
}

/** The lines around it may be missing. */
function pemOf(text: string): string {
  if (text.includes('-----BEGIN')) return text
  const body = text.replace(/\s+/g, '').replace(/.{64}/g, '$&\n')
  return `-----BEGIN PUBLIC KEY-----\n${body}\n-----END PUBLIC KEY-----\n`
}
