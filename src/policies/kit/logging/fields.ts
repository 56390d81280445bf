/** Settings that loggers share, with the names and defaults of APISIX. */
import type { PluginConfig } from '../../../config/plan.ts'
import { type Static, Type } from '../../../config/type.ts'
import { conditionFinding } from '../condition.ts'
import { openInApisix } from '../fields.ts'

/** A map of whatever stands in it. */
export const openObject = (description: string) =>
  Type.Unsafe<Record<string, unknown>>({ type: 'object', description })

const size = (what: string) =>
  Type.Integer({ minimum: 1, default: 524_288, description: `Bytes of ${what} that are logged at most.` })

const expression = (what: string) =>
  Type.Optional(
    Type.Array(Type.Unsafe<unknown[]>({ type: 'array' }), {
      minItems: 1,
      description: `Condition, in the form of a route's \`vars\`, under which ${what} is logged.`,
    }),
  )

/** How entries are collected on their way. */
export const batchFields = (name: string) => ({
  name: Type.String({ default: name, description: 'Name of the batch in metrics and logs.' }),
  max_retry_count: Type.Integer({
    minimum: 0,
    default: 0,
    description: 'How often a batch that failed is sent again.',
  }),
  retry_delay: Type.Integer({ minimum: 0, default: 1, description: 'Seconds before that.' }),
  buffer_duration: Type.Integer({
    minimum: 1,
    default: 60,
    description: 'Seconds that an entry waits for others at most.',
  }),
  inactive_timeout: Type.Integer({
    minimum: 1,
    default: 5,
    description: 'Seconds without a new entry after which a batch leaves.',
  }),
  batch_max_size: Type.Integer({ minimum: 1, default: 1000, description: 'Entries of a full batch.' }),
})

export const formatFields = {
  log_format: Type.Optional(
    openObject(
      'The entry in place of the usual one: values that begin with `$` are variables; maps may stand in maps.',
    ),
  ),
  log_format_extra: Type.Optional(openObject('Fields beside the usual ones, in the form of `log_format`.')),
}

export const bodyFields = {
  include_req_body: Type.Boolean({ default: false, description: 'Whether bodies of requests are logged.' }),
  include_req_body_expr: expression('the body of a request'),
  include_resp_body: Type.Boolean({ default: false, description: 'Whether bodies of answers are logged.' }),
  include_resp_body_expr: expression('the body of an answer'),
  max_req_body_bytes: size('the body of a request'),
  max_resp_body_bytes: size('the body of an answer'),
}

/** What entries hold, and how they are collected. */
export const entryFields = (name: string) => ({ ...formatFields, ...bodyFields, ...batchFields(name) })

/** @param fallback milliseconds */
export const batchTimeout = (fallback: number) =>
  Type.Integer({ minimum: 1, default: fallback, description: 'Milliseconds that a batch may take.' })

/** The `plugin_metadata` of loggers that collect batches. */
export const loggerMetadata = Type.Object(
  {
    ...formatFields,
    max_pending_entries: Type.Integer({
      minimum: 1,
      default: 8192,
      description:
        'Entries that wait to be delivered at most, on each thread; further ones are discarded and counted.',
    }),
  },
  openInApisix,
)
export type LoggerMetadata = Static<typeof loggerMetadata>

/** An address that begins with a scheme and a host, as APISIX checks it. */
export const webAddress = (description: string, options: Record<string, unknown> = {}) =>
  Type.String({
    pattern: '^[^/]+://([\\da-zA-Z.-]+|\\[[\\da-fA-F:]+\\])(:\\d+)?',
    'x-form': 'an address such as http://host:port/path',
    description,
    ...options,
  })

/** What a schema cannot say of the conditions in `bodyFields`. */
export function expressionFindings(config: PluginConfig): string | undefined {
  for (const field of ['include_req_body_expr', 'include_resp_body_expr']) {
    const value = config[field]
    const finding = value === undefined ? undefined : conditionFinding(value)
    if (finding !== undefined) return `failed to validate the '${field}' expression: ${finding}`
  }
  return undefined
}

/** What is wrong with these addresses of servers; undefined when nothing is. */
export function addressFinding(addresses: Readonly<Record<string, string | undefined>>): string | undefined {
  for (const [field, address] of Object.entries(addresses)) {
    if (address === undefined) continue
    const url = URL.canParse(address) ? new URL(address) : undefined
    if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
      return `${field}: must be an address of http or https`
    if (url.username !== '' || url.password !== '')
      return `${field}: credentials do not belong into an address`
  }
  return undefined
}

/** The addresses of a list by their places, for `addressFinding`. */
export function placed(field: string, addresses: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(addresses.map((address, index) => [`${field}[${index}]`, address]))
}
