/**
 * APISIX's own configuration file (`config.yaml`): the keys that mean the same here become settings of the gateway.
 * What was used and what was not is reported, so that nothing is lost in silence.
 */
import type { PathSegment } from '../problem.ts'
import { shapedMetrics } from '../prometheus-settings.ts'
import { below, type Place, type Report } from '../report.ts'
import { discoveryOfApisix } from './apisix-discovery.ts'
import { type ApisixStreams, streamKeys, streamsOfApisix } from './apisix-streams.ts'

/** `gateway:` as far as APISIX's keys say something about it. `config` holds APISIX's top-level keys of one document. */
export function settingsOfApisix(
  root: Place,
  config: Record<string, unknown>,
  report: Report,
): Record<string, unknown> {
  const gateway: Record<string, unknown> = {}
  const { discovery, ...others } = withSecureListeners(config)
  const streams = streamsOfApisix(config)
  if (isMap(discovery)) {
    const registries = discoveryOfApisix(below(root, 'discovery'), discovery, report)
    if (Object.keys(registries).length > 0) gateway.discovery = registries
  }
  for (const { path, value } of Object.keys(others).length === 0 ? [] : leaves(others)) {
    const key = path.join('.')
    const place = below(root, ...path)
    const translation = Object.hasOwn(translations, key) ? translations[key] : undefined
    const isOfStreams = streamKeys.has(key)
    const used = isOfStreams && !streams.unused.has(key) ? 'listeners' : translation?.(value, gateway)
    if (used === undefined) {
      report.add(place, {
        code: 'ignored-field',
        severity: withoutCounterpart.some((prefix) => key === prefix || key.startsWith(`${prefix}.`))
          ? 'info'
          : 'warning',
        at: 'key',
        message:
          translation === undefined && !isOfStreams
            ? "this key of APISIX's configuration has no effect here"
            : "this value of APISIX's configuration has no counterpart here",
        hint: ignoredHints[path[0] as string],
      })
    } else {
      report.add(place, {
        code: 'used-setting',
        severity: 'info',
        at: 'key',
        message: `used as gateway.${used}`,
      })
    }
  }
  withHttp2(gateway, config)
  addStreams(streams, gateway)
  return gateway
}

function addStreams({ http, listeners }: ApisixStreams, gateway: Gateway): void {
  const others = http ? ((gateway.listeners as object[] | undefined) ?? [{ port: 9080 }]) : []
  if (listeners.length > 0 || (!http && gateway.listeners !== undefined))
    gateway.listeners = [...others, ...listeners]
}

/** APISIX listens on port 9443 where TLS is switched on and no port is named, and on none where it is off. */
function withSecureListeners(config: Record<string, unknown>): Record<string, unknown> {
  const { apisix } = config
  if (!isMap(apisix) || !isMap(apisix.ssl)) return config
  const { listen, ...ssl } = apisix.ssl
  if (ssl.enable === false) return { ...config, apisix: { ...apisix, ssl } }
  if (ssl.enable !== true || listen !== undefined) return config
  return { ...config, apisix: { ...apisix, ssl: { ...ssl, listen: [9443] } } }
}

/** What is not missed: it says where APISIX keeps its configuration, and which of its plugins are loaded. */
const withoutCounterpart = [
  'deployment.role',
  'deployment.role_traditional',
  'deployment.role_control_plane',
  'deployment.role_data_plane',
  'deployment.etcd',
  'etcd',
  'plugins',
  'stream_plugins',
  // Metrics are as fresh as the question for them.
  'plugin_attr.prometheus.refresh_interval',
]

const ignoredHints: Readonly<Record<string, string | undefined>> = {
  plugins: 'Every policy of the catalogue can be used without being listed.',
  deployment: 'The configuration comes from the files that are named with -c, and from the Admin API.',
}

type Gateway = Record<string, unknown>

/** Puts a value into `gateway` and names the field, or leaves it and answers undefined when it cannot be used. */
type Translation = (value: unknown, gateway: Gateway) => string | undefined

const translations: Readonly<Record<string, Translation>> = {
  'apisix.node_listen': (value, gateway) => {
    const listeners = [value].flat().map(listenerOf)
    if (listeners.length === 0 || listeners.includes(undefined)) return undefined
    const secure = ((gateway.listeners as { protocol?: string }[] | undefined) ?? []).filter(
      ({ protocol }) => protocol === 'https',
    )
    gateway.listeners = [...listeners, ...secure]
    return 'listeners'
  },
  // Taken together with the listeners, once all of them are known.
  'apisix.enable_http2': (value) => (isBoolean(value) ? 'listeners[].http2' : undefined),
  'apisix.ssl.enable': (value) => (isBoolean(value) ? 'listeners' : undefined),
  'apisix.ssl.listen': (value, gateway) => {
    const listeners = [value].flat().map(listenerOf)
    if (listeners.length === 0 || listeners.includes(undefined)) return undefined
    gateway.listeners = [
      ...((gateway.listeners as object[] | undefined) ?? [{ port: 9080 }]),
      ...listeners.map((listener) => ({ ...listener, protocol: 'https' })),
    ]
    return 'listeners'
  },
  'apisix.ssl.ssl_protocols': into('tls', 'protocols', isString, (text) => String(text).trim().split(/\s+/)),
  'apisix.ssl.ssl_ciphers': into('tls', 'ciphers', isString),
  'apisix.ssl.ssl_session_tickets': into('tls', 'session_tickets', isBoolean),
  'apisix.ssl.fallback_sni': into('tls', 'fallback_sni', isString),
  'apisix.ssl.ssl_trusted_certificate': into('upstream_tls', 'ca', isString, (text) =>
    String(text)
      .split(',')
      .map((file) => file.trim()),
  ),
  'apisix.router.http': to('router', isString),
  'apisix.router.ssl': (router) => (router === 'radixtree_sni' ? 'tls' : undefined),
  'apisix.delete_uri_tail_slash': into('paths', 'trailing_slash', isBoolean, (on) =>
    on ? 'ignore' : 'keep',
  ),
  'apisix.normalize_uri_like_servlet': whenOn('paths', 'parameters', 'ignore'),
  'apisix.match_uri_encoded_slash': whenOn('paths', 'encoded_slash', 'keep'),
  'apisix.max_post_args_readable_size': into(
    'limits',
    'post_args',
    isNumber,
    (megabytes) => `${megabytes}MiB`,
  ),
  'graphql.max_size': into('limits', 'graphql', isNumber),
  'apisix.trusted_addresses': to('trusted_addresses', Array.isArray),
  'apisix.proxy_cache.cache_ttl': into('cache', 'ttl', isTime, fromTime),
  'apisix.proxy_cache.zones': into('cache', 'zones', isZoneList, fromZoneList),
  'apisix.disable_upstream_healthcheck': (value, gateway) => {
    if (!isBoolean(value)) return undefined
    gateway.health_checks = value === false
    return 'health_checks'
  },
  'apisix.show_upstream_status_in_response_header': into('forwarding', 'show_upstream_status', isBoolean),
  'apisix.data_encryption.keyring': into('admin', 'keyring', isKeyRing, (keys) => [keys].flat()),
  'apisix.data_encryption.enable_encrypt_fields': into('admin', 'encrypt', isBoolean),
  'apisix.enable_admin': into('admin', 'enabled', isBoolean),
  'deployment.admin.admin_key': into('admin', 'keys', isKeyList, fromKeyList),
  'deployment.admin.admin_key_required': into('admin', 'key_required', isBoolean),
  // Whatever is not v3 is the older version to APISIX.
  'deployment.admin.admin_api_version': into('admin', 'api_version', isString, (version) =>
    version === 'v3' ? 'v3' : 'v2',
  ),
  'deployment.admin.allow_admin': into('admin', 'allow', Array.isArray),
  'deployment.admin.enable_admin_cors': into('admin', 'cors', isBoolean),
  'deployment.admin.admin_listen.ip': into('admin', 'host', isString),
  'deployment.admin.admin_listen.port': into('admin', 'port', isNumber),
  'apisix.lru.secret.ttl': into('secrets', 'ttl', isNumber, fromTime),
  'apisix.lru.secret.neg_ttl': into('secrets', 'failure_ttl', isNumber, fromTime),
  'apisix.enable_control': into('control', 'enabled', isBoolean),
  'apisix.control.ip': into('control', 'host', isString),
  'apisix.control.port': into('control', 'port', isNumber),
  'apisix.status.ip': into('status', 'host', isString, undefined, { enabled: true }),
  'apisix.status.port': into('status', 'port', isNumber, undefined, { enabled: true }),
  'plugin_attr.batch-requests.uri': into('batch_requests', 'path', isString),
  'plugin_attr.redirect.https_port': to('https_port', isNumber),
  'plugin_attr.prometheus.enable_export_server': into('metrics', 'enabled', isBoolean),
  'plugin_attr.prometheus.export_addr.ip': into('metrics', 'host', isString),
  'plugin_attr.prometheus.export_addr.port': into('metrics', 'port', isNumber),
  'plugin_attr.prometheus.export_uri': into('prometheus', 'path', isString),
  'plugin_attr.prometheus.metric_prefix': into('prometheus', 'prefix', isString),
  'plugin_attr.prometheus.default_buckets': into('prometheus', 'latency_buckets', Array.isArray),
  ...Object.fromEntries(
    shapedMetrics.flatMap((metric) => [
      [`plugin_attr.prometheus.metrics.${metric}.extra_labels`, labelsOf(metric)],
      [`plugin_attr.prometheus.metrics.${metric}.expire`, expiryOf(metric)],
    ]),
  ),
  'nginx_config.worker_processes': to('workers', (value) => value === 'auto' || isNumber(value)),
  'nginx_config.worker_shutdown_timeout': into('timeouts', 'drain', isTime, fromTime),
  'nginx_config.http.keepalive_timeout': into('timeouts', 'keepalive', isTime, fromTime),
  'nginx_config.http.client_header_timeout': into('timeouts', 'header', isTime, fromTime),
  'nginx_config.http.client_body_timeout': into('timeouts', 'body_idle', isTime, fromTime),
  'nginx_config.http.send_timeout': into('timeouts', 'write_stall', isTime, fromTime),
  'nginx_config.http.client_max_body_size': into('limits', 'body', isSize, fromSize),
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
function isString(value: unknown): boolean {
  return typeof value === 'string'
}
function isNumber(value: unknown): boolean {
  return typeof value === 'number'
}
function isBoolean(value: unknown): boolean {
  return typeof value === 'boolean'
}

function isKeyRing(value: unknown): boolean {
  return [value].flat().every(isString)
}

type KeyEntry = { name?: unknown; role?: unknown; key?: unknown }

function isKeyList(value: unknown): boolean {
  return Array.isArray(value) && value.every((entry: KeyEntry | null) => typeof entry?.key === 'string')
}
function fromKeyList(value: unknown): unknown {
  return (value as KeyEntry[]).map(({ name, role, key }) => ({
    ...(isString(name) && { name }),
    ...(isString(role) && { role }),
    key,
  }))
}

type ZoneEntry = Record<'name' | 'memory_size' | 'disk_size' | 'disk_path' | 'cache_levels', unknown>

function isZoneList(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every(
      (entry: ZoneEntry | null) =>
        typeof entry?.name === 'string' &&
        isSize(entry.disk_path === undefined ? entry.memory_size : entry.disk_size),
    )
  )
}
/** The memory of a zone on disk holds an index in APISIX; here there is none. */
function fromZoneList(value: unknown): unknown {
  return (value as ZoneEntry[]).map(({ name, memory_size, disk_size, disk_path, cache_levels }) => ({
    name,
    size: fromSize(disk_path === undefined ? memory_size : disk_size),
    ...(disk_path !== undefined && { path: disk_path }),
    ...(cache_levels !== undefined && { levels: String(cache_levels) }),
  }))
}

/** nginx writes `75s`, or `75` for the same; what it combines, such as `1m 30s`, is not taken. */
function isTime(value: unknown): boolean {
  return /^\d+(ms|s|m|h)?$/.test(String(value))
}
function fromTime(value: unknown): string {
  return /^\d+$/.test(String(value)) ? `${value}s` : String(value)
}

/** nginx writes `10m`, `512k` or a number of bytes. */
function isSize(value: unknown): boolean {
  return /^\d+[kmg]?$/i.test(String(value))
}
const sizeUnits: Readonly<Record<string, string>> = { k: 'KiB', m: 'MiB', g: 'GiB' }
function fromSize(value: unknown): string {
  return String(value).replace(/[kmg]$/i, (unit) => sizeUnits[unit.toLowerCase()] ?? '')
}

function to(field: string, fits: (value: unknown) => boolean): Translation {
  return (value, gateway) => {
    if (!fits(value)) return undefined
    gateway[field] = value
    return field
  }
}

function into(
  section: string,
  field: string,
  fits: (value: unknown) => boolean,
  translate: (value: unknown) => unknown = (value) => value,
  /** Fields of the section that go with this one. */
  beside: object = {},
): Translation {
  return (value, gateway) => {
    if (!fits(value)) return undefined
    gateway[section] = { ...(gateway[section] as object | undefined), ...beside, [field]: translate(value) }
    return `${section}.${field}`
  }
}

/** Off, it is as it is by default. */
function whenOn(section: string, field: string, on: string): Translation {
  const set = into(section, field, isBoolean, () => on)
  return (value, gateway) => (value === false ? `${section}.${field}` : set(value, gateway))
}

/** APISIX has a list of maps with one label each. */
function labelsOf(metric: string): Translation {
  return (value, gateway) => {
    if (!(Array.isArray(value) && value.every(isMap))) return undefined
    return put(gateway, 'extra_labels', metric, Object.assign({}, ...value))
  }
}

function expiryOf(metric: string): Translation {
  return (seconds, gateway) => (isNumber(seconds) ? put(gateway, 'expire', metric, `${seconds}s`) : undefined)
}

function put(gateway: Gateway, field: string, metric: string, value: unknown): string {
  const prometheus = (gateway.prometheus ?? {}) as Record<string, object | undefined>
  gateway.prometheus = { ...prometheus, [field]: { ...prometheus[field], [metric]: value } }
  return `prometheus.${field}.${metric}`
}

/** APISIX takes a port, or a port with an address. Without one it listens on every address. */
function listenerOf(entry: unknown): Record<string, unknown> | undefined {
  if (typeof entry === 'number') return { port: entry }
  if (typeof entry !== 'object' || entry === null) return undefined
  const { port, ip, ...rest } = entry as Record<string, unknown>
  const { enable_http2: http2, enable_http3: quic, ...unknown } = rest
  if (quic === true) return undefined
  if (typeof port !== 'number' || Object.keys(unknown).length > 0) return undefined
  return { port, ...(typeof ip === 'string' && { host: ip }), ...(isBoolean(http2) && { http2 }) }
}

/** What APISIX says of HTTP/2 for all listeners; the default of both is that it is spoken. */
function withHttp2(gateway: Gateway, { apisix }: Record<string, unknown>): void {
  if (!isMap(apisix) || apisix.enable_http2 !== false) return
  const listeners = (gateway.listeners as object[] | undefined) ?? [{ port: 9080 }]
  gateway.listeners = listeners.map((listener) => ({ ...listener, http2: false }))
}

/** Every value that is not a map, or that a translation takes as a whole. */
function* leaves(
  value: unknown,
  path: PathSegment[] = [],
): Generator<{ path: PathSegment[]; value: unknown }> {
  const whole =
    typeof value !== 'object' || value === null || Array.isArray(value) || Object.keys(value).length === 0
  if (whole) yield { path, value }
  else for (const [key, item] of Object.entries(value)) yield* leaves(item, [...path, key])
}
