import { Type } from '../../../config/type.ts'
import type { Exchange, Verdict } from '../../../proxy/exchange.ts'
import { headerName } from '../../../proxy/headers.ts'

/** How limits reject, in the fields of APISIX. */
export const rejectionFields = {
  rejected_code: Type.Integer({
    default: 503,
    minimum: 200,
    maximum: 599,
    description: 'Status of a rejection.',
  }),
  rejected_msg: Type.Optional(
    Type.String({ minLength: 1, description: 'Sent as `{"error_msg": ...}` with a rejection.' }),
  ),
}

export function rejection(config: { rejected_code: number; rejected_msg?: string }): Verdict {
  const { rejected_code: status, rejected_msg: message } = config
  return message === undefined ? { status } : { status, body: { error_msg: message } }
}

const retryAfter = headerName('Retry-After')

/** Says when to come back (RFC 9110 10.2.3), in whole seconds and at least one. */
export function setRetryAfter(exchange: Exchange, ms: number): void {
  exchange.answer.set(retryAfter, Math.max(1, Math.ceil(ms / 1000)))
}
