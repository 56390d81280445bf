/**
 * How the health of endpoints is found out: `checks` with the names, defaults and limits of Apache APISIX 3.18, and
 * ejection of outliers and the panic threshold, which are our own.
 */
import { methods } from './methods.ts'
import { below, type Place, type Report } from './report.ts'
import { type Static, Type } from './type.ts'

const kind = (description: string) =>
  Type.Optional(Type.Enum(['http', 'https', 'tcp'], { default: 'http', description }))

const statuses = (byDefault: readonly number[], description: string) =>
  Type.Optional(
    Type.Array(Type.Integer({ minimum: 200, maximum: 599 }), {
      minItems: 1,
      uniqueItems: true,
      default: byDefault,
      description,
    }),
  )

/** A counter has eight bits, and its highest value means that the limit was passed. */
const times = (byDefault: number, minimum: 0 | 1, description: string) =>
  Type.Optional(Type.Integer({ minimum, maximum: 254, default: byDefault, description }))

const interval = (of: string) =>
  Type.Optional(
    Type.Integer({ minimum: 1, default: 1, description: `Seconds between two probes of ${of} endpoint.` }),
  )

const activeDefaults = {
  healthy: [200, 302],
  unhealthy: [429, 404, 500, 501, 502, 503, 504, 505],
}
const passiveDefaults = {
  healthy: [200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308],
  unhealthy: [429, 500, 503],
}

const activeSchema = Type.Object(
  {
    type: kind('What a probe is: a request, a request over TLS, or no more than a connection.'),
    timeout: Type.Optional(
      Type.Number({ exclusiveMinimum: 0, default: 1, description: 'Seconds that a probe may take in all.' }),
    ),
    concurrency: Type.Optional(
      Type.Integer({ minimum: 1, default: 10, description: 'Endpoints that are probed at the same time.' }),
    ),
    host: Type.Optional(
      Type.String({
        pattern: '^\\*$|^\\*?[0-9a-zA-Z-._\\[\\]:]+$',
        description:
          '`Host` and TLS server name of probes. Default: `upstream_host` with `pass_host: rewrite`, else the host of the node.',
        'x-form': 'a host name',
      }),
    ),
    port: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        description: 'Port of probes. Default: the port of the node.',
      }),
    ),
    http_method: Type.Optional(Type.Enum(methods, { default: 'GET', description: 'Method of probes.' })),
    http_path: Type.Optional(
      Type.String({
        pattern: '^[^\\x00-\\x20\\x7f]+$',
        maxLength: 4096,
        default: '/',
        description: 'Path of probes, with a query if need be.',
        'x-form': 'a path without spaces',
      }),
    ),
    http_req_body: Type.Optional(
      Type.String({ maxLength: 65_536, default: '', description: 'Body of probes.' }),
    ),
    https_verify_certificate: Type.Optional(
      Type.Boolean({
        default: true,
        description: 'Whether a certificate that is not valid for the host makes a probe fail.',
      }),
    ),
    req_headers: Type.Optional(
      Type.Array(
        Type.String({
          pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\\t\\x20-\\x7e\\x80-\\xff]*$",
          maxLength: 8192,
          'x-form': 'a field line such as `User-Agent: probe`',
        }),
        { minItems: 1, description: 'Field lines that probes carry.' },
      ),
    ),
    healthy: Type.Optional(
      Type.Object(
        {
          interval: interval('a healthy'),
          http_statuses: statuses(activeDefaults.healthy, 'Statuses that count as a success.'),
          successes: times(2, 1, 'Successes in a row that make an endpoint healthy.'),
        },
        { default: {}, description: 'How endpoints become healthy.' },
      ),
    ),
    unhealthy: Type.Optional(
      Type.Object(
        {
          interval: interval('an unhealthy'),
          http_statuses: statuses(activeDefaults.unhealthy, 'Statuses that count as a failure.'),
          http_failures: times(5, 1, 'Such answers, or answers that are not HTTP, that make one unhealthy.'),
          tcp_failures: times(2, 1, 'Failures to connect, or connections that broke off, that do.'),
          timeouts: times(3, 1, 'Probes without an answer in time that do.'),
        },
        { default: {}, description: 'How endpoints become unhealthy.' },
      ),
    ),
  },
  { description: 'Probes that the gateway sends, once for all its threads.' },
)

const passiveSchema = Type.Object(
  {
    type: kind('Has no effect: what traffic brings is counted by what it is.'),
    healthy: Type.Optional(
      Type.Object(
        {
          http_statuses: statuses(passiveDefaults.healthy, 'Statuses that count as a success.'),
          successes: times(5, 0, 'Successes in a row that make an endpoint healthy; 0: none do.'),
        },
        { default: {}, description: 'How endpoints become healthy.' },
      ),
    ),
    unhealthy: Type.Optional(
      Type.Object(
        {
          http_statuses: statuses(passiveDefaults.unhealthy, 'Statuses that count as a failure.'),
          tcp_failures: times(2, 0, 'Failed connections that make an endpoint unhealthy; 0: none do.'),
          timeouts: times(7, 0, 'Requests without an answer in time that do; 0: none do.'),
          http_failures: times(5, 0, 'Answers with such a status that do; 0: none do.'),
        },
        { default: {}, description: 'How endpoints become unhealthy.' },
      ),
    ),
  },
  { description: 'What traffic tells about endpoints.' },
)

export const checksSchema = Type.Object(
  { active: Type.Optional(activeSchema), passive: Type.Optional(passiveSchema) },
  {
    // An endpoint that is unhealthy gets no traffic that could show its recovery: passive checks need active ones.
    anyOf: [{ required: ['active'] }, { required: ['active', 'passive'] }],
    description:
      'Health checks. `active` is required, because only probes find out that an endpoint is back.',
  },
)

export const outlierEjectionSchema = Type.Object(
  {
    consecutive_5xx: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 65_535,
        default: 5,
        description:
          'Answers from 500 on, or failures to answer, in a row that eject an endpoint; 0: none do.',
      }),
    ),
    consecutive_gateway_failures: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 65_535,
        default: 5,
        description: 'Of these only 502, 503, 504 and failures to answer; 0: not counted apart.',
      }),
    ),
    base_ejection_time: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        default: 30,
        description: 'Seconds out of traffic, times the number of ejections in a row.',
      }),
    ),
    max_ejection_time: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        default: 300,
        description: 'Longest time out of traffic, in seconds.',
      }),
    ),
    max_ejection_percent: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 100,
        default: 10,
        description: 'Share of the endpoints that may be ejected at the same time; one always may.',
      }),
    ),
  },
  {
    description:
      'Takes endpoints that fail request after request out of traffic for a while, without any probe. Off when absent.',
  },
)

export const panicThresholdSchema = Type.Integer({
  minimum: 0,
  maximum: 100,
  default: 0,
  description:
    'Percent of endpoints that have to be usable. With fewer, traffic goes to all of them, usable or not. With 0 it does so when none is.',
})

type Filled<T> = { [K in keyof T]-?: Exclude<T[K], undefined> }
type ChecksInput = Static<typeof checksSchema>
type ActiveInput = Static<typeof activeSchema>
type PassiveInput = Static<typeof passiveSchema>

/** Times in seconds. */
export interface ActiveCheckSpec {
  type: 'http' | 'https' | 'tcp'
  timeout: number
  concurrency: number
  host?: string
  port?: number
  http_method: string
  http_path: string
  http_req_body: string
  https_verify_certificate: boolean
  req_headers: string[]
  healthy: Filled<NonNullable<ActiveInput['healthy']>>
  unhealthy: Filled<NonNullable<ActiveInput['unhealthy']>>
}

export interface PassiveCheckSpec {
  healthy: Filled<NonNullable<PassiveInput['healthy']>>
  unhealthy: Filled<NonNullable<PassiveInput['unhealthy']>>
}

export interface ChecksSpec {
  active: ActiveCheckSpec
  passive?: PassiveCheckSpec
}

/** Times in seconds. */
export type OutlierEjectionSpec = Filled<Static<typeof outlierEjectionSchema>>

/** `input` was checked: it has `active`. */
export function checksSpec(input: ChecksInput): ChecksSpec {
  const { active = {}, passive } = input
  return {
    active: {
      type: active.type ?? 'http',
      timeout: active.timeout ?? 1,
      concurrency: active.concurrency ?? 10,
      ...(active.host !== undefined && { host: active.host }),
      ...(active.port !== undefined && { port: active.port }),
      http_method: active.http_method ?? 'GET',
      http_path: active.http_path ?? '/',
      http_req_body: active.http_req_body ?? '',
      https_verify_certificate: active.https_verify_certificate ?? true,
      req_headers: active.req_headers ?? [],
      healthy: { interval: 1, http_statuses: activeDefaults.healthy, successes: 2, ...active.healthy },
      unhealthy: {
        interval: 1,
        http_statuses: activeDefaults.unhealthy,
        http_failures: 5,
        tcp_failures: 2,
        timeouts: 3,
        ...active.unhealthy,
      },
    },
    ...(passive !== undefined && {
      passive: {
        healthy: { http_statuses: passiveDefaults.healthy, successes: 5, ...passive.healthy },
        unhealthy: {
          http_statuses: passiveDefaults.unhealthy,
          tcp_failures: 2,
          timeouts: 7,
          http_failures: 5,
          ...passive.unhealthy,
        },
      },
    }),
  }
}

export function outlierEjectionSpec(input: Static<typeof outlierEjectionSchema>): OutlierEjectionSpec {
  return {
    consecutive_5xx: 5,
    consecutive_gateway_failures: 5,
    base_ejection_time: 30,
    max_ejection_time: 300,
    max_ejection_percent: 10,
    ...input,
  }
}

/** Fields whose values the gateway gives to a probe itself. */
const framing = new Set([
  'connection',
  'content-length',
  'expect',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** What a schema cannot say. */
export function checkChecks(input: ChecksInput, place: Place, report: Report): void {
  input.active?.req_headers?.forEach((line, index) => {
    const name = line.slice(0, line.indexOf(':')).toLowerCase()
    if (!framing.has(name)) return
    report.add(below(place, 'active', 'req_headers', index), {
      code: 'invalid-value',
      message: `must not be ${name}, which says how the probe itself is sent`,
    })
  })
}
