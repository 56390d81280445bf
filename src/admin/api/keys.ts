/** Who may use the Admin API, by the key that a request carries. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { AdminSettings } from '../../config/settings.ts'

export interface Caller {
  name: string
  role: 'admin' | 'viewer'
}

export type Admission = { caller: Caller } | { refused: string }

/** Without keys there is nobody to tell apart. */
const anybody: Caller = { name: 'anybody', role: 'admin' }

export class AdminKeys {
  readonly #keys: readonly { caller: Caller; digest: Buffer }[]
  readonly #required: boolean

  constructor({ keys, key_required: required }: AdminSettings) {
    this.#keys = keys.map(({ name, role, key }) => ({ caller: { name, role }, digest: digest(key) }))
    this.#required = required
  }

  /** The words of a refusal are those of APISIX. */
  admit(method: string, query: URLSearchParams, headers: IncomingHttpHeaders): Admission {
    if (!this.#required) return { caller: anybody }
    const key = query.get('api_key') ?? headers['x-api-key'] ?? cookie(headers.cookie, 'x_api_key')
    if (typeof key !== 'string') return { refused: 'missing apikey' }
    const caller = this.#find(digest(key))
    if (caller === undefined) return { refused: 'wrong apikey' }
    if (caller.role === 'viewer' && method !== 'GET' && method !== 'HEAD') {
      return { refused: 'invalid method for role viewer' }
    }
    return { caller }
  }

  /** Looks at every key, whichever fits, and at all of its digest, so that the time it takes tells nothing. */
  #find(given: Buffer): Caller | undefined {
    let found: Caller | undefined
    for (const { caller, digest } of this.#keys) if (timingSafeEqual(digest, given)) found = caller
    return found
  }
}

const digest = (key: string): Buffer => createHash('sha256').update(key).digest()

function cookie(field: string | undefined, name: string): string | undefined {
  for (const pair of field?.split(';') ?? []) {
    const [key, ...value] = pair.trim().split('=')
    if (key === name) return value.join('=')
  }
  return undefined
}
