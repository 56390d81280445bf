import {
  definePolicy,
  type Exchange,
  headerBlock,
  headerName,
  InvalidHeaderError,
  openInApisix,
  type Static,
  Type,
} from '../kit/index.ts'
import { anyOf, exceptNull, type OriginRule, originList, originPatterns } from './origins.ts'

const origins = '^(\\*|\\*\\*|null|\\w+://[^,]+(,\\w+://[^,]+)*)$'
const patterns = (description: string) =>
  Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: 4096 }), {
      minItems: 1,
      uniqueItems: true,
      description,
    }),
  )

const settings = Type.Object(
  {
    allow_origins: Type.String({
      default: '*',
      pattern: origins,
      description: 'Origins between commas; `*` for all, `**` for all with the origin named back.',
    }),
    allow_methods: Type.String({
      default: '*',
      description: 'Methods between commas; `*` for all, `**` for all by name.',
    }),
    allow_headers: Type.String({
      default: '*',
      description: 'Headers between commas; `*` for all, `**` for those that the preflight asks for.',
    }),
    expose_headers: Type.Optional(
      Type.String({ description: 'Headers between commas that scripts may read.' }),
    ),
    max_age: Type.Integer({
      default: 5,
      description: 'Seconds for which a preflight may be kept; -1: not at all.',
    }),
    allow_credential: Type.Boolean({
      default: false,
      description: 'Allow credentials. Excludes `*` everywhere else.',
    }),
    allow_origins_by_regex: patterns('Regular expressions of allowed origins, in place of `allow_origins`.'),
    allow_origins_by_metadata: patterns(
      'Names of origin lists in `plugin_metadata`, asked before the others.',
    ),
    timing_allow_origins: Type.Optional(
      Type.String({
        pattern: origins,
        description: 'Origins that may read timings; written as `allow_origins`.',
      }),
    ),
    timing_allow_origins_by_regex: patterns('Regular expressions in place of `timing_allow_origins`.'),
  },
  openInApisix,
)
type Settings = Static<typeof settings>

const vary = headerName('Vary')
const allowOrigin = headerName('Access-Control-Allow-Origin')
const allowHeaders = headerName('Access-Control-Allow-Headers')
const timingAllowOrigin = headerName('Timing-Allow-Origin')
const everyMethod = 'GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE'
const preflight = { status: 200, body: '' }

/** Cross-origin resource sharing; configuration and answers of APISIX's `cors`. */
export default definePolicy({
  name: 'cors',
  summary: 'Lets scripts of other origins use the API (CORS), and answers preflights.',
  details:
    'Every OPTIONS request ends here with an empty 200; it grants nothing by itself. An origin that is ' +
    'not allowed gets no CORS field, and its request passes: CORS protects users of browsers, not the ' +
    'API.\n\nTwo differences from APISIX, both for safety: `Vary: Origin` is sent whenever the answer ' +
    'depends on `Origin`, also with regular expressions beside the default `allow_origins`; and with ' +
    '`allow_credential` the origin `null` is allowed only where it is spelt out.',
  stage: 'transform',
  priority: 4000,
  config: settings,
  metadata: Type.Object(
    {
      allow_origins: Type.Optional(
        Type.Record(Type.String(), Type.String({ pattern: origins }), {
          description: 'Origin lists by name.',
        }),
      ),
    },
    openInApisix,
  ),
  validate: (config) => wildcardFinding(config) ?? patternFinding(config) ?? valueFinding(config),
  create(config, host) {
    const allowed = allowedOrigins(config, host.metadata?.allow_origins ?? {})
    const timing = timingOrigins(config)
    const constant = headerBlock(constantFields(config))
    const echoesHeaders = config.allow_headers === '**'
    // Wider than APISIX, which looks at allow_origins alone: whatever depends on Origin has to say so to caches.
    const varies =
      config.allow_origins !== '*' ||
      config.allow_origins_by_regex !== undefined ||
      config.allow_origins_by_metadata !== undefined ||
      (timing !== undefined && config.timing_allow_origins !== '*')

    return {
      request(exchange) {
        return exchange.request.method === 'OPTIONS' ? preflight : undefined
      },
      respond({ request, answer }: Exchange) {
        // What the script's browser said, not what another policy tells the upstream.
        const origin = request.headers.sent('origin')
        if (varies) answer.add(vary, 'Origin')
        const value = allowed(origin)
        if (value !== undefined) {
          answer.set(allowOrigin, value)
          answer.setBlock(constant)
          if (echoesHeaders) {
            const asked = request.headers.getAll('access-control-request-headers')
            if (asked !== undefined) answer.set(allowHeaders, asked)
          }
        }
        const timingValue = timing?.(origin)
        if (timingValue !== undefined) answer.set(timingAllowOrigin, timingValue)
      },
    }
  },
})

function allowedOrigins(config: Settings, lists: Readonly<Record<string, string>>): OriginRule {
  const rules: OriginRule[] = []
  for (const name of config.allow_origins_by_metadata ?? []) {
    const list = lists[name]
    if (list !== undefined) rules.push(named(originList(list)))
  }
  if (config.allow_origins_by_regex) rules.push(originPatterns(config.allow_origins_by_regex))
  // A default of `*` beside named lists would make them pointless.
  else if (!config.allow_origins_by_metadata || config.allow_origins !== '*')
    rules.push(originList(config.allow_origins))
  const rule = rules.length === 0 ? () => undefined : anyOf(rules)
  return config.allow_credential && config.allow_origins !== 'null' ? exceptNull(rule) : rule
}

/** Lists of the metadata name the origin back, also for `*`, and have nothing for a request without one. */
function named(rule: OriginRule): OriginRule {
  return (origin) => (origin !== undefined && rule(origin) !== undefined ? origin : undefined)
}

function timingOrigins(config: Settings): OriginRule | undefined {
  if (config.timing_allow_origins_by_regex) return originPatterns(config.timing_allow_origins_by_regex)
  return config.timing_allow_origins === undefined ? undefined : originList(config.timing_allow_origins)
}

/** All fields but the origin, which is the request's own; a setting that is empty sends no field. */
function constantFields(config: Settings): [string, string][] {
  const fields: [string, string][] = [
    ['Access-Control-Allow-Methods', config.allow_methods === '**' ? everyMethod : config.allow_methods],
    ['Access-Control-Max-Age', String(config.max_age)],
    ['Access-Control-Expose-Headers', config.expose_headers ?? ''],
    ['Access-Control-Allow-Headers', config.allow_headers === '**' ? '' : config.allow_headers],
    ['Access-Control-Allow-Credentials', config.allow_credential ? 'true' : ''],
  ]
  return fields.filter(([, value]) => value !== '')
}

function wildcardFinding(config: Settings): string | undefined {
  if (!config.allow_credential) return undefined
  const { allow_origins, allow_methods, allow_headers, expose_headers, timing_allow_origins } = config
  const wild = [allow_origins, allow_methods, allow_headers, expose_headers, timing_allow_origins].includes(
    '*',
  )
  return wild ? "you can not set '*' for other option when 'allow_credential' is true" : undefined
}

function patternFinding(config: Settings): string | undefined {
  for (const field of ['allow_origins_by_regex', 'timing_allow_origins_by_regex'] as const) {
    try {
      if (config[field]) originPatterns(config[field])
    } catch (error) {
      return `${field}: ${(error as Error).message}`
    }
  }
  return undefined
}

/** A line break in a setting would become one in the answer. */
function valueFinding(config: Settings): string | undefined {
  try {
    headerBlock(constantFields(config))
  } catch (error) {
    if (error instanceof InvalidHeaderError) return error.message
    throw error
  }
  return undefined
}
