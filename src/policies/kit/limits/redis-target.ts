/** Where shared counters are kept, in the fields of APISIX's limits. */
import { Type } from '../../../config/type.ts'
import { closedInApisix } from '../fields.ts'

interface CommonTarget {
  readonly username?: string
  readonly password?: string
  readonly tls?: { readonly verify: boolean; readonly serverName?: string }
  /** For one decision. */
  readonly timeoutMs: number
  readonly connectTimeoutMs: number
  /** A connection that nobody used for that long is closed. */
  readonly idleMs: number
}

export interface HostAndPort {
  readonly host: string
  readonly port: number
}

export type RedisTarget =
  | (CommonTarget & HostAndPort & { readonly kind: 'redis'; readonly database: number })
  | (CommonTarget & { readonly kind: 'redis-cluster'; readonly nodes: readonly HostAndPort[] })
  | (CommonTarget & {
      readonly kind: 'redis-sentinel'
      readonly sentinels: readonly HostAndPort[]
      readonly master: string
      readonly role: 'master' | 'slave'
      readonly database: number
      readonly sentinelUsername?: string
      readonly sentinelPassword?: string
    })

const count = (minimum: number, description: string) => Type.Optional(Type.Integer({ minimum, description }))
const flag = (description: string) => Type.Optional(Type.Boolean({ description }))
const text = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))
const secret = (description: string) => Type.Optional(Type.String({ description, 'x-secret': true }))

export const redisFields = {
  redis_host: Type.Optional(Type.String({ minLength: 2, description: 'Host of Redis; needed for `redis`.' })),
  redis_port: count(1, 'Port of Redis. Default: 6379.'),
  redis_username: text('User of Redis.'),
  redis_password: secret('Password of Redis.'),
  redis_database: count(0, 'Number of the database. Default: 0.'),
  redis_timeout: count(1, 'Milliseconds that a decision may take. Default: 1000.'),
  redis_ssl: flag('Talk TLS to `redis`. Default: false.'),
  redis_ssl_verify: flag('Check the certificate of `redis`. Default: false.'),
  redis_keepalive_timeout: count(1, 'Milliseconds after which an idle connection is closed. Default: 10000.'),
  redis_keepalive_pool: count(1, 'Has no effect: a thread sends everything through one connection.'),
  redis_cluster_nodes: Type.Optional(
    Type.Array(Type.String({ minLength: 2, maxLength: 100 }), {
      minItems: 1,
      description: 'Nodes to ask for the others, as `host:port`; needed for `redis-cluster`.',
    }),
  ),
  redis_cluster_name: Type.Optional(
    Type.String({ description: 'Name of the cluster; needed for `redis-cluster`.' }),
  ),
  redis_cluster_ssl: flag('Talk TLS to `redis-cluster`. Default: false.'),
  redis_cluster_ssl_verify: flag('Check the certificates of `redis-cluster`. Default: false.'),
}

export const sentinelFields = {
  redis_sentinels: Type.Optional(
    Type.Array(
      Type.Object(
        {
          host: Type.String({ minLength: 2, description: 'Host of the sentinel.' }),
          port: Type.Integer({ minimum: 1, maximum: 65535, description: 'Port of the sentinel.' }),
        },
        closedInApisix,
      ),
      { minItems: 1, description: 'Sentinels to ask for the master; needed for `redis-sentinel`.' },
    ),
  ),
  redis_master_name: text('Name of the master; needed for `redis-sentinel`.'),
  redis_role: Type.Optional(
    Type.Enum(['master', 'slave'], { description: 'Whom to talk to. Default: master, who alone can count.' }),
  ),
  redis_connect_timeout: count(1, 'Milliseconds to connect to the master. Default: 1000.'),
  redis_read_timeout: count(1, 'Milliseconds that a decision may take. Default: 1000.'),
  sentinel_username: text('User of the sentinels.'),
  sentinel_password: secret('Password of the sentinels.'),
}

export interface RedisConfig {
  readonly policy: string
  readonly redis_host?: string
  readonly redis_port?: number
  readonly redis_username?: string
  readonly redis_password?: string
  readonly redis_database?: number
  readonly redis_timeout?: number
  readonly redis_ssl?: boolean
  readonly redis_ssl_verify?: boolean
  readonly redis_keepalive_timeout?: number
  readonly redis_cluster_nodes?: readonly string[]
  readonly redis_cluster_name?: string
  readonly redis_cluster_ssl?: boolean
  readonly redis_cluster_ssl_verify?: boolean
  readonly redis_sentinels?: readonly HostAndPort[]
  readonly redis_master_name?: string
  readonly redis_role?: 'master' | 'slave'
  readonly redis_connect_timeout?: number
  readonly redis_read_timeout?: number
  readonly sentinel_username?: string
  readonly sentinel_password?: string
}

const needed: Readonly<Record<string, readonly (keyof RedisConfig)[]>> = {
  redis: ['redis_host'],
  'redis-cluster': ['redis_cluster_nodes', 'redis_cluster_name'],
  'redis-sentinel': ['redis_sentinels', 'redis_master_name'],
}

/** What is missing or cannot be read; undefined: nothing. */
export function redisFinding(config: RedisConfig): string | undefined {
  for (const field of needed[config.policy] ?? [])
    if (config[field] === undefined) return `policy: '${config.policy}' needs '${field}'`
  for (const node of config.redis_cluster_nodes ?? [])
    if (hostAndPort(node) === undefined) return `redis_cluster_nodes: '${node}' is not host:port`
  return undefined
}

/** Undefined for the policy `local`. The configuration has passed `redisFinding`. */
export function redisTarget(config: RedisConfig): RedisTarget | undefined {
  const common = {
    ...(config.redis_username !== undefined && { username: config.redis_username }),
    ...(config.redis_password !== undefined && { password: config.redis_password }),
    timeoutMs: config.redis_timeout ?? 1000,
    connectTimeoutMs: config.redis_timeout ?? 1000,
    idleMs: config.redis_keepalive_timeout ?? 10_000,
  }
  switch (config.policy) {
    case 'redis': {
      const tls = config.redis_ssl === true && { tls: { verify: config.redis_ssl_verify ?? false } }
      const { redis_host: host = '', redis_port: port = 6379, redis_database: database = 0 } = config
      return { ...common, kind: 'redis', host, port, database, ...tls }
    }
    case 'redis-cluster': {
      const tls = config.redis_cluster_ssl && { tls: { verify: config.redis_cluster_ssl_verify ?? false } }
      const nodes = config.redis_cluster_nodes!.map((node) => hostAndPort(node)!)
      return { ...common, kind: 'redis-cluster', nodes, ...tls }
    }
    case 'redis-sentinel':
      return {
        ...common,
        timeoutMs: config.redis_read_timeout ?? 1000,
        connectTimeoutMs: config.redis_connect_timeout ?? 1000,
        idleMs: config.redis_keepalive_timeout ?? 60_000,
        kind: 'redis-sentinel',
        sentinels: config.redis_sentinels!,
        master: config.redis_master_name!,
        role: config.redis_role ?? 'master',
        database: config.redis_database ?? 0,
        ...(config.sentinel_username !== undefined && { sentinelUsername: config.sentinel_username }),
        ...(config.sentinel_password !== undefined && { sentinelPassword: config.sentinel_password }),
      }
    default:
      return undefined
  }
}

function hostAndPort(text: string): HostAndPort | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  if (match === null || Number(match[3]) > 65_535) return undefined
  return { host: match[1] ?? match[2]!, port: Number(match[3]) }
}

const connection = {
  redis_password: { type: 'string', minLength: 0 },
  redis_timeout: { type: 'integer', minimum: 1, default: 1000 },
  redis_keepalive_timeout: { type: 'integer', minimum: 1000, default: 10_000 },
  redis_keepalive_pool: { type: 'integer', minimum: 1, default: 100 },
}
const off = { type: 'boolean', default: false }
const name = { type: 'string', minLength: 1 }
const database = { type: 'integer', minimum: 0, default: 0 }
const within = (fallback: number) => ({ type: 'integer', minimum: 1, default: fallback })

/** What APISIX's schemas ask for with each policy. */
const branches: Readonly<Record<string, { properties: Record<string, object>; required: string[] }>> = {
  redis: {
    properties: {
      ...connection,
      redis_host: { type: 'string', minLength: 2 },
      redis_port: { type: 'integer', minimum: 1, default: 6379 },
      redis_username: name,
      redis_database: database,
      redis_ssl: off,
      redis_ssl_verify: off,
    },
    required: ['redis_host'],
  },
  'redis-cluster': {
    properties: {
      ...connection,
      redis_cluster_nodes: {
        type: 'array',
        minItems: 1,
        items: { type: 'string', minLength: 2, maxLength: 100 },
      },
      redis_cluster_name: { type: 'string' },
      redis_cluster_ssl: off,
      redis_cluster_ssl_verify: off,
    },
    required: ['redis_cluster_nodes', 'redis_cluster_name'],
  },
  'redis-sentinel': {
    properties: {
      redis_sentinels: {
        type: 'array',
        minItems: 1,
        items: {
          type: 'object',
          properties: {
            host: { type: 'string', minLength: 2 },
            port: { type: 'integer', minimum: 1, maximum: 65_535 },
          },
          required: ['host', 'port'],
          additionalProperties: false,
        },
      },
      redis_master_name: name,
      redis_role: { type: 'string', enum: ['master', 'slave'], default: 'master' },
      redis_connect_timeout: within(1000),
      redis_read_timeout: within(1000),
      redis_keepalive_timeout: within(60_000),
      redis_database: database,
      redis_username: name,
      redis_password: { type: 'string', minLength: 0 },
      sentinel_username: name,
      sentinel_password: { type: 'string', minLength: 0 },
    },
    required: ['redis_sentinels', 'redis_master_name'],
  },
}

/**
 * How a schema with these fields differs in APISIX: they stand in a branch for each policy.
 * @param extra fields that every branch has beside them
 */
export function redisInApisix(kinds: readonly string[], extra: Record<string, object> = {}) {
  const hidden = [
    ...Object.keys(redisFields),
    ...Object.keys(sentinelFields),
    ...Object.keys(extra),
    'absent_store',
    'lease',
  ]
  let branch: object | undefined
  for (const kind of kinds.toReversed()) {
    const { properties, required } = branches[kind]!
    branch = {
      if: { properties: { policy: { enum: [kind] } } },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { properties: { ...properties, ...extra }, required },
      ...(branch && { else: branch }),
    }
  }
  return { properties: Object.fromEntries(hidden.map((field) => [field, undefined])), ...branch }
}
