/** Who may use the Admin API: clients of allowed addresses, with a key, and no page of another site. */
import type { IncomingMessage } from 'node:http'
import type { AdminSettings } from '../../config/settings.ts'
import { TrustedAddresses } from '../../proxy/trust.ts'
import { refuseForeign } from '../foreign-requests.ts'
import { type Answer, failure } from './answer.ts'
import { FailedKeys } from './failed-keys.ts'
import { AdminKeys, type Caller } from './keys.ts'
import type { ApiRequest } from './request.ts'

export type Admitted = { caller: Caller } | { answer: Answer }

export class Admission {
  readonly #keys: AdminKeys
  readonly #allowed: TrustedAddresses | undefined
  readonly #failed: FailedKeys

  /** `now`: epoch milliseconds. */
  constructor(settings: AdminSettings, now: () => number) {
    this.#keys = new AdminKeys(settings)
    this.#allowed = settings.allow.length === 0 ? undefined : new TrustedAddresses(settings.allow)
    this.#failed = new FailedKeys(now)
  }

  /** Whether it may ask at all, whatever key it has. */
  refuseAddress({ client }: ApiRequest): Answer | undefined {
    if (this.#allowed === undefined || this.#allowed.includes(client)) return undefined
    return failure(403, 'this address is not allowed to use the Admin API')
  }

  admit(request: ApiRequest, incoming: IncomingMessage): Admitted {
    const { client } = request
    const wait = this.#failed.wait(client)
    if (wait > 0) {
      const answer = notAdmitted(429, 'too many wrong keys, try again later')
      return { answer: { ...answer, headers: { 'Retry-After': String(wait) } } }
    }
    const { refused, caller, carried } = this.#keys.admit(request)
    if (caller === undefined) {
      if (refused === 'wrong apikey') this.#failed.add(client)
      return { answer: notAdmitted(401, refused) }
    }
    // A browser adds a cookie by itself, whichever page has it ask; of the other keys the page would have to know.
    const foreign = carried === 'field' ? undefined : refuseForeign(incoming)
    return foreign === undefined ? { caller } : { answer: { status: foreign.status, body: foreign.body } }
  }
}

const notAdmitted = (status: number, description: string): Answer => ({
  status,
  body: { error_msg: 'failed to check token', description },
})
