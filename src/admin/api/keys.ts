/** The keys of the Admin API, and whose they are. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { AdminSettings } from '../../config/settings.ts'
import type { ApiRequest } from './request.ts'

export interface Caller {
  name: string
  role: 'admin' | 'viewer'
}

export type KeyCheck =
  /** `carried`: how the key came, which a browser does by itself or not. */
  | { caller: Caller; carried: 'field' | 'cookie' | 'nothing'; refused?: never }
  /** In APISIX's words. */
  | { refused: string; caller?: never; carried?: never }

/** Without keys there is nobody to tell apart. */
const anybody: Caller = { name: 'anybody', role: 'admin' }

export class AdminKeys {
  readonly #keys: readonly { caller: Caller; digest: Buffer }[]
  readonly #required: boolean

  constructor({ keys, key_required: required }: AdminSettings) {
    this.#keys = keys.map(({ name, role, key }) => ({ caller: { name, role }, digest: digest(key) }))
    this.#required = required
  }

  admit({ method, query, headers }: ApiRequest): KeyCheck {
    if (!this.#required) return { caller: anybody, carried: 'nothing' }
    const field = query.get('api_key') ?? headers['x-api-key']
    const key = field ?? cookie(headers.cookie, 'x_api_key')
    if (typeof key !== 'string') return { refused: 'missing apikey' }
    const caller = this.#find(digest(key))
    if (caller === undefined) return { refused: 'wrong apikey' }
    if (caller.role === 'viewer' && method !== 'GET' && method !== 'HEAD') {
      return { refused: 'invalid method for role viewer' }
    }
    return { caller, carried: field === undefined ? 'cookie' : 'field' }
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
