import { Type } from '../../../config/type.ts'
import type { Exchange, HeaderBlock } from '../../../proxy/exchange.ts'
import { headerBlock, NumberFields } from '../../../proxy/headers.ts'

/** Names of APISIX's fields, as `plugin_metadata` sets them. */
export interface QuotaNames {
  readonly limit_header?: string
  readonly remaining_header?: string
  readonly reset_header?: string
}

const header = (name: string, description: string) =>
  Type.String({ default: name, minLength: 1, description })

export const quotaMetadata = {
  limit_header: header('X-RateLimit-Limit', 'Header with the limit.'),
  remaining_header: header('X-RateLimit-Remaining', 'Header with the requests that are left.'),
  reset_header: header('X-RateLimit-Reset', 'Header with the seconds until the window ends.'),
}

export const quotaStyle = Type.Enum(['apisix', 'flex', 'draft'], {
  default: 'apisix',
  description:
    'Fields that tell the quota: `X-RateLimit-*` with seconds, `x-ratelimit-*` with milliseconds, or `RateLimit-Policy` ' +
    'and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11.',
})
export type QuotaStyle = 'apisix' | 'flex' | 'draft'

/** How an answer tells one quota. */
export type QuotaWriter = (
  exchange: Exchange,
  limit: number,
  windowMs: number,
  remaining: number,
  resetMs: number,
) => void

/** @param prefix of a rule among several; undefined: there is one */
export function compileQuota(
  style: QuotaStyle,
  names: QuotaNames | undefined,
  prefix: string | undefined,
): QuotaWriter {
  if (style === 'draft') return draftWriter(prefix ?? 'default')
  const named = (name: string) =>
    prefix === undefined ? name : name.replace(/RateLimit-/i, (match) => `${prefix}-${match}`)
  if (style === 'flex') {
    const fields = new NumberFields(
      ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'].map(named),
    )
    return (exchange, limit, _windowMs, remaining, resetMs) =>
      exchange.answer.setBlock(fields.block(limit, remaining, Math.ceil(resetMs)))
  }
  const fields = new NumberFields([
    named(names?.limit_header ?? 'X-RateLimit-Limit'),
    named(names?.remaining_header ?? 'X-RateLimit-Remaining'),
    named(names?.reset_header ?? 'X-RateLimit-Reset'),
  ])
  return (exchange, limit, _windowMs, remaining, resetMs) =>
    exchange.answer.setBlock(fields.block(limit, remaining, Math.floor(resetMs / 10) / 100))
}

/** Several quotas become members of one list. */
function draftWriter(name: string): QuotaWriter {
  const text = `"${name.replace(/[^ !#-[\]-~]/g, '_')}"`
  let policy: { limit: number; windowMs: number; value: string } | undefined
  return (exchange, limit, windowMs, remaining, resetMs) => {
    if (policy?.limit !== limit || policy.windowMs !== windowMs)
      policy = { limit, windowMs, value: `${text};q=${limit};w=${Math.ceil(windowMs / 1000)}` }
    exchange.answer.add('RateLimit-Policy', policy.value)
    exchange.answer.add('RateLimit', `${text};r=${remaining};t=${Math.ceil(resetMs / 1000)}`)
  }
}

/** A name that can stand in a field name. */
export function isFieldNamePart(text: string): boolean {
  try {
    const block: HeaderBlock = headerBlock([[`X-${text}`, '1']])
    return block.names.length === 1
  } catch {
    return false
  }
}
