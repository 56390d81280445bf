/**
 * The runtime configuration of the Gateway Manager API: what a control plane says about the gateway itself, and what it
 * means here. It is open, as there: fields of other versions are let be, and named among those without effect.
 */
import { formatPath } from '../config/problem.ts'
import { checkSchema } from '../config/schema.ts'
import { type Static, Type } from '../config/type.ts'
import { type LogOutput, logOutputsOf, withoutEffectOf } from './log-output.ts'
import type { ReportedRefusal } from './protocol/messages.ts'
import { goesElsewhere, type RuntimeTracing, runtimeTracingSchema } from './runtime-tracing.ts'

const seconds = () => Type.Integer({ minimum: 0, maximum: 86_400 })
const mostOutputs = 16
const count = () => Type.Integer({ minimum: 0, maximum: 2_147_483_647 })
const more = { additionalProperties: true }
const optional = <Properties extends Parameters<typeof Type.Object>[0]>(properties: Properties) =>
  Type.Optional(Type.Object(properties, more))

export const runtimeConfigurationSchema = Type.Object(
  {
    logging: optional({
      anypoint: optional({ forwardLogs: Type.Optional(Type.Boolean()) }),
      runtimeLogs: optional({
        logLevel: Type.Optional(Type.Enum(['debug', 'info', 'warn', 'error', 'fatal'])),
        outputs: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { maxItems: mostOutputs })),
      }),
      outputs: Type.Optional(
        Type.Record(
          Type.String(),
          Type.Object(
            {
              type: Type.String({ minLength: 1 }),
              parameters: Type.Optional(Type.Record(Type.String(), Type.Unsafe<unknown>({}))),
            },
            more,
          ),
          { maxProperties: mostOutputs },
        ),
      ),
    }),
    tracing: Type.Optional(runtimeTracingSchema),
    proxyProtocol: optional({ enabled: Type.Optional(Type.Boolean()) }),
    timeouts: optional({
      streamIdleSeconds: Type.Optional(seconds()),
      upstreamResponseSeconds: Type.Optional(seconds()),
      upstreamConnectionIdleSeconds: Type.Optional(seconds()),
    }),
    circuitBreaker: optional({
      thresholds: optional({
        maxRetries: Type.Optional(count()),
        maxRequests: Type.Optional(count()),
        maxConnections: Type.Optional(count()),
        maxConnectionPools: Type.Optional(count()),
        maxPendingRequests: Type.Optional(count()),
      }),
    }),
    connectionBufferLimits: optional({ global: Type.Optional(count()) }),
    routing: optional({ rewriteHostHeader: Type.Optional(Type.Boolean()) }),
    probe: optional({
      enabled: Type.Optional(Type.Boolean()),
      path: Type.Optional(Type.String({ pattern: '^/', maxLength: 1024, 'x-form': 'a path' })),
      port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })),
    }),
  },
  more,
)
export type RuntimeConfiguration = Static<typeof runtimeConfigurationSchema>

/** What a runtime configuration means for this gateway. Times in milliseconds. */
export interface RuntimeSettings {
  logLevel?: 'debug' | 'info' | 'warn' | 'error'
  /** Whether lines of the log go to the control plane. */
  forwardLogs: boolean
  /** Where its lines go besides. */
  logOutputs: LogOutput[]
  /** Longest silence inside a request body. */
  bodyIdle?: number
  /** Whether connections begin with a header of the PROXY protocol; absent: as the files say. */
  proxyProtocol?: boolean
  /** What it says of tracing; absent: as the files say. */
  tracing?: RuntimeTracing
  /** Bytes that wait for a slow reader. */
  connectionBuffer?: number
  /** For upstreams that say nothing themselves. */
  upstreams: UpstreamDefaults
  /** Where health is asked for besides. */
  probe?: { path: string; port: number }
  /** Fields with a value that asks for something that this version does not do. */
  withoutEffect: string[]
}

export interface UpstreamDefaults {
  /** Seconds. */
  responseTimeout?: number
  /** Seconds. */
  idleTimeout?: number
  passHost?: 'pass' | 'node'
  /** `circuit_breaker` of an upstream. */
  limits?: Partial<Record<(typeof limitNames)[keyof typeof limitNames], number>>
}

/** Thresholds, and what an upstream calls them. */
const limitNames = {
  maxConnections: 'max_connections',
  maxConnectionPools: 'max_pools',
  maxPendingRequests: 'max_pending',
  maxRequests: 'max_requests',
  maxRetries: 'max_retries',
} as const
/**
 * Bytes, for a limit of 0, which is none in the words of Envoy: what waits has a bound in any case, and this one leaves
 * room for every connection that reads at all.
 */
const largeBuffer = 16 * 1024 * 1024
/** Of an upstream. A threshold above it is no limit that anybody meets. */
const highestLimit = 1_000_000

const probeDefaults = { path: '/health', port: 8080 }

/** @returns what it means, or why it cannot be used */
export function readRuntimeConfiguration(
  value: Readonly<Record<string, unknown>>,
): RuntimeSettings | ReportedRefusal {
  const problems = checkSchema(runtimeConfigurationSchema, value)
  if (problems.length > 0) {
    return {
      code: 'invalid-configuration',
      message: 'the runtime configuration has errors',
      findings: problems.slice(0, 100).map(({ code, severity, path, message }) => ({
        code,
        severity,
        path: formatPath(['runtime_configuration', ...path]),
        message,
      })),
    }
  }
  const {
    logging,
    tracing,
    timeouts = {},
    routing,
    probe,
    circuitBreaker,
    proxyProtocol,
    connectionBufferLimits,
  } = value as RuntimeConfiguration
  const { outputs, findings } = logOutputsOf(logging)
  if (findings.length > 0) {
    return { code: 'invalid-configuration', message: 'the runtime configuration has errors', findings }
  }
  const buffer = connectionBufferLimits?.global
  const limits = limitsOf(circuitBreaker?.thresholds)
  const level = logging?.runtimeLogs?.logLevel
  const { streamIdleSeconds, upstreamResponseSeconds, upstreamConnectionIdleSeconds } = timeouts
  return {
    forwardLogs: logging?.anypoint?.forwardLogs === true,
    ...(level !== undefined && { logLevel: level === 'fatal' ? 'error' : level }),
    logOutputs: outputs,
    ...(proxyProtocol?.enabled !== undefined && { proxyProtocol: proxyProtocol.enabled }),
    ...(tracing !== undefined && { tracing }),
    ...(buffer !== undefined && { connectionBuffer: buffer === 0 ? largeBuffer : buffer }),
    ...(streamIdleSeconds !== undefined && { bodyIdle: streamIdleSeconds * 1000 }),
    upstreams: {
      ...(upstreamResponseSeconds !== undefined && { responseTimeout: upstreamResponseSeconds }),
      ...(upstreamConnectionIdleSeconds !== undefined && { idleTimeout: upstreamConnectionIdleSeconds }),
      ...(routing?.rewriteHostHeader !== undefined && {
        passHost: routing.rewriteHostHeader ? 'node' : 'pass',
      }),
      ...(Object.keys(limits).length > 0 && { limits }),
    },
    ...(probe?.enabled === true && {
      probe: { path: probe.path ?? probeDefaults.path, port: probe.port ?? probeDefaults.port },
    }),
    withoutEffect: withoutEffect(value as RuntimeConfiguration),
  }
}

type Thresholds = NonNullable<NonNullable<RuntimeConfiguration['circuitBreaker']>['thresholds']>

function limitsOf(thresholds: Thresholds = {}): NonNullable<UpstreamDefaults['limits']> {
  const limits: NonNullable<UpstreamDefaults['limits']> = {}
  for (const [name, ours] of Object.entries(limitNames) as [keyof typeof limitNames, keyof typeof limits][]) {
    const value = thresholds[name]
    if (value !== undefined) limits[ours] = Math.min(value, highestLimit)
  }
  return limits
}

/** A field that asks for nothing (`enabled: false`) is followed by doing nothing. */
function withoutEffect(value: RuntimeConfiguration): string[] {
  const { logging, tracing, circuitBreaker } = value
  const asked: Record<string, boolean> = {
    // Spans go where the gateway's own files say, if they say it.
    'tracing.provider.type': goesElsewhere(tracing),
  }
  const known = Object.keys(runtimeConfigurationSchema.properties)
  return [
    ...withoutEffectOf(logging),
    ...Object.keys(asked).filter((name) => asked[name]),
    ...Object.entries(circuitBreaker?.thresholds ?? {})
      .filter(([name]) => !Object.hasOwn(limitNames, name))
      .map(([name]) => `circuitBreaker.thresholds.${name}`),
    ...Object.keys(value).filter((name) => !known.includes(name)),
  ]
}

type Resource = Record<string, unknown>

/** The resources, with what upstreams leave open filled in. What is given stays as it is. */
export function withUpstreamDefaults(
  resources: Readonly<Record<string, unknown>>,
  defaults: UpstreamDefaults,
): Readonly<Record<string, unknown>> {
  if (Object.keys(defaults).length === 0) return resources
  const filled: Record<string, unknown> = { ...resources }
  const each = (kind: string, change: (resource: Resource) => Resource) => {
    const list = resources[kind]
    if (Array.isArray(list)) filled[kind] = list.map((item) => (isResource(item) ? change(item) : item))
  }
  each('upstreams', (upstream) => fill(upstream, defaults))
  for (const kind of ['routes', 'services']) {
    each(kind, (owner) =>
      isResource(owner.upstream) ? { ...owner, upstream: fill(owner.upstream, defaults) } : owner,
    )
  }
  return filled
}

/** Connecting and sending keep the default of APISIX. */
const defaultSeconds = 60

function fill(upstream: Resource, defaults: UpstreamDefaults): Resource {
  const { responseTimeout, idleTimeout, passHost, limits } = defaults
  return {
    ...(responseTimeout !== undefined &&
      responseTimeout > 0 && {
        timeout: { connect: defaultSeconds, send: defaultSeconds, read: responseTimeout },
      }),
    ...(idleTimeout !== undefined && { keepalive_pool: { idle_timeout: idleTimeout } }),
    ...(passHost !== undefined && { pass_host: passHost }),
    ...(limits !== undefined && { circuit_breaker: limits }),
    ...upstream,
  }
}

const isResource = (value: unknown): value is Resource =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
