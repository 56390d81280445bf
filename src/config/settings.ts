import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { type CacheZone, defaultZones } from './cache-zones.ts'
import { type DiscoverySettings, discoverySchema, discoverySettings } from './discovery.ts'
import { type ProxyProtocolVersion, proxyProtocolVersions, type TlsProtocol, tlsProtocols } from './plan.ts'
import { type PrometheusSettings, prometheusSchema, prometheusSettings } from './prometheus-settings.ts'
import { type TracingSettings, tracingSchema, tracingSettings } from './tracing-settings.ts'
import { type Static, Type } from './type.ts'
import { parseDuration, parseSize } from './units.ts'

/** The gateway's own settings, resolved: durations in milliseconds, sizes in bytes, every default filled in. */
export interface Settings {
  listeners: ListenerSettings[]
  /** How host and path are compared; the names are those of APISIX. */
  router: 'radixtree_host_uri' | 'radixtree_uri' | 'radixtree_uri_with_parameter'
  /** Data threads; `auto` is one for each processor, see `dataThreadsOf`. */
  workers: number | 'auto'
  /** CIDR blocks or addresses whose X-Forwarded-* fields are believed. */
  trusted_addresses: string[]
  timeouts: {
    /** From the connection to the end of its TLS handshake, and of its PROXY protocol header. */
    handshake: number
    /** First byte of a request to the end of its head. */
    header: number
    /** Longest pause inside a request body. */
    body_idle: number
    /** Idle client connection between requests. */
    keepalive: number
    /** Longest silence of a TCP session, where its upstream names none. */
    session: number
    /** The same of a UDP session, which has no other end. */
    datagrams: number
    /** A peer that takes nothing of what we have for it. */
    write_stall: number
    /** Grace for requests in flight at shutdown. */
    drain: number
  }
  limits: {
    /** Bytes of a request or response head. */
    head: number
    /** Field lines of a head. */
    headers: number
    /** Bytes of a request target. */
    target: number
    /** Bytes of a request body; 0 is no limit. */
    body: number
    /** Bytes of a request body that may be held so that an idempotent request can be sent again. */
    replay: number
    /** Bytes of a request body that is read for `post_arg` and `request_body` before its route is known; 0 is no limit. */
    post_args: number
    /** The same for `graphql_*`. */
    graphql: number
    /** Bytes of all such bodies that a thread holds at once. */
    held_bodies: number
    /** Open client connections of the whole process. */
    connections: number
    /** Bytes that wait for a slow reader before the other side is asked to stop. */
    connection_buffer: number
    requests_per_connection: number
    /** Bytes of a message in a WebSocket, and messages of a second in each direction; 0 is no limit. */
    websocket_message: number
    websocket_rate: number
    /** UDP sessions of a thread. */
    datagram_sessions: number
  }
  /** How a target that two parsers could read differently is treated. `keep` passes it on untouched. */
  paths: {
    /** `decode`: a slash like any other, for routing and for the upstream alike. */
    encoded_slash: 'reject' | 'keep' | 'decode'
    encoded_backslash: 'reject' | 'keep'
    encoded_nul: 'reject' | 'keep'
    backslash: 'reject' | 'keep'
    /** `//`. `merge`: one slash, for routing and for the upstream alike. */
    repeated_slashes: 'merge' | 'keep' | 'reject'
    /**
     * `;x` in a segment, which some servers cut off. `check`: refused when that would lead to another route. `ignore`:
     * routes and policies see the path without, the upstream the path with it.
     */
    parameters: 'check' | 'keep' | 'reject' | 'ignore'
    /** A slash at the end. `ignore`: routes and policies see the path without, the upstream the path with it. */
    trailing_slash: 'keep' | 'ignore'
  }
  forwarding: {
    /** Pseudonym for `Via`; absent: none is sent. */
    via?: string
    /** Send RFC 7239 `Forwarded`. */
    forwarded: boolean
    /** Tell clients every upstream status, not only those from 500 on. */
    show_upstream_status: boolean
    /** Tell clients why the gateway answers by itself. */
    show_cause: boolean
    /** `Server` of every answer is the gateway's. */
    replace_server: boolean
  }
  /** Of TLS towards clients. */
  tls: {
    protocols: TlsProtocol[]
    /** In OpenSSL's words, for versions before 1.3. */
    ciphers: string
    session_tickets: boolean
    /** Milliseconds for which a key of tickets is used. */
    session_ticket_rotation: number
    /** What clients that ask for no name are taken to ask for; empty: their handshake fails. */
    fallback_sni: string
  }
  /** Of TLS towards upstreams. */
  upstream_tls: {
    verify: boolean | 'never'
    /** Certificates in PEM; empty: those that Node.js brings. */
    ca: string[]
  }
  /** `Server` of the gateway's own answers; empty: none. */
  server: string
  /** Port at which clients reach this gateway with https, for redirects. */
  https_port: number
  /** Floor and ceiling of the time a resolved name is kept, and the longest wait for an answer; milliseconds. */
  dns: { min_ttl: number; max_ttl: number; timeout: number }
  /** Whether the endpoints of upstreams are watched at all. */
  health_checks: boolean
  discovery: DiscoverySettings
  secrets: SecretSettings
  control: AddressSettings
  metrics: AddressSettings
  prometheus: PrometheusSettings
  /** Null: requests are not traced, unless a policy does. */
  tracing: TracingSettings | null
  /** Where `public-api` finds the endpoint of the policy `batch-requests`. */
  batch_requests: { path: string }
  /** Programs that policies may start. */
  commands: string[]
  status: AddressSettings
  probe: AddressSettings
  admin: AdminSettings
  /** Where policies store answers, and for how many milliseconds those on disk that do not say it themselves. */
  cache: { ttl: number; zones: CacheZone[] }
  sync: SyncSettings
  /** Policies that an operator wrote. */
  policies: readonly PolicyModule[]
  /** Functions that an operator wrote: the folder of those that the Admin API may name, and all modules with some. */
  functions: { folder?: string; modules: readonly FunctionModule[] }
  /**
   * Milliseconds that a data thread may be silent: until that is told, and until the thread is replaced. Milliseconds that
   * code of the operator may take to settle a promise. Bytes of a thread's heap; 0: what Node.js gives it.
   */
  watchdog: { slow: number; stuck: number; unsettled: number; heap: number }
  /** Folder for what the gateway keeps itself; `:memory:` keeps it no longer than the process. */
  data_dir: string
  log: { level: 'trace' | 'debug' | 'info' | 'warn' | 'error' }
}

/** A policy that an operator wrote. */
export interface PolicyModule {
  name: string
  /** Of its file; another one when its code has changed. */
  url: string
}

/** The connection to a control plane. */
export interface SyncSettings {
  /** File; absent: it is looked for. */
  registration?: string
  /** Bytes of a configuration. */
  max_size: number
  /** Milliseconds. */
  heartbeat: number
  /** 0: no telemetry is sent. */
  telemetry: number
  start_timeout: number
  /** Whether the certificate is renewed without anybody asking. */
  renew: boolean
  /** URL of an HTTP proxy. */
  proxy?: string
}

/** A module with functions that an operator wrote. */
export interface FunctionModule {
  /** As a plan names it: its absolute path, or its path relative to `gateway.functions.folder`. */
  name: string
  /** Of its file; another one when its code has changed. */
  url: string
}

/** Times in milliseconds. */
export interface SecretSettings {
  ttl: number
  failure_ttl: number
  timeout: number
  unresolved: 'refuse' | 'deny'
}

export interface AddressSettings {
  host: string
  port: number
  enabled: boolean
}

/** The Admin API; it is enabled only when there is a key, or when none is required. */
export interface AdminSettings extends AddressSettings {
  keys: AdminKey[]
  key_required: boolean
  /** Keys for what is kept in `data_dir`: the first encrypts, all decrypt. Empty: nothing is encrypted. */
  keyring: string[]
  /** False: what is kept from now on is not encrypted, though there are keys. */
  encrypt: boolean
  /** Addresses and CIDR blocks of clients that are let in; empty: all. */
  allow: string[]
  /** Whether pages of other sites may use it, with a key. */
  cors: boolean
  /** Whose shape its answers have. */
  api_version: 'v3' | 'v2'
  /** File for what was changed by whom; absent: the log of the gateway. */
  audit_log?: string
}

export interface AdminKey {
  name: string
  /** A viewer reads only. */
  role: 'admin' | 'viewer'
  key: string
}

export interface ListenerSettings {
  name: string
  host: string
  port: number
  protocol: ListenerProtocol
  /** With `http` and `https`: HTTP/2 is spoken with clients that want it. */
  http2?: true
  /** Of connections of HTTP/2; absent: `usualHttp2Limits`. */
  http2_limits?: Http2Limits
  /** With `https` and `tls`: the certificate of all connections, by its id in `ssls`. */
  ssl?: string
  /** With `tls`: TLS passes as it is, and is only looked at for the name that is asked for. */
  passthrough?: true
  /** Every connection begins with a header of the PROXY protocol; absent: none does. */
  proxy_protocol?: ProxyProtocolSettings
  /** Of TCP sessions: what their upstreams are told the client in, where they do not say it themselves. */
  proxy_protocol_to_upstream?: ProxyProtocolVersion
}

export interface Http2Limits {
  /** Requests of a connection at once. */
  streams: number
  /** Requests that may end before their answer did: at once, and in a second. */
  resets: number
  resets_per_second: number
  /** Bytes that are no part of a request: at once, and in a second. */
  overhead: number
  overhead_per_second: number
}

/** A browser that leaves a page ends some dozens of requests. */
export const usualHttp2Limits: Http2Limits = {
  streams: 100,
  resets: 100,
  resets_per_second: 10,
  overhead: 128 * 1024,
  overhead_per_second: 32 * 1024,
}

export interface ProxyProtocolSettings {
  /** Addresses and CIDR blocks of peers that are believed. */
  trusted: string[]
  /** `ignore`: the header of any other is read, and what it says is not believed. */
  untrusted: 'close' | 'ignore'
}

export const listenerProtocols = ['http', 'https', 'tcp', 'tls', 'udp'] as const
export type ListenerProtocol = (typeof listenerProtocols)[number]

/** Of listeners that name none; the others have to. */
export const standardListenerPorts: Readonly<Partial<Record<ListenerProtocol, number>>> = {
  http: 9080,
  https: 9443,
}

/** APISIX's, without those that no certificate of today is used with. */
const defaultCiphers = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

const duration = (byDefault: string, description: string) =>
  Type.Optional(Type.String({ format: 'duration', default: byDefault, description }))

const size = (byDefault: string | number, description: string) =>
  Type.Optional(
    Type.Union([Type.String({ format: 'size' }), Type.Integer({ minimum: 0 })], {
      default: byDefault,
      description,
      'x-form': 'a size such as 32KiB or 1MiB, or a number of bytes',
    }),
  )

const count = (byDefault: number, description: string) =>
  Type.Optional(Type.Integer({ minimum: 1, default: byDefault, description }))

const keep = (what: string) =>
  Type.Optional(
    Type.Enum(['reject', 'keep'], {
      default: 'reject',
      description: `A target with ${what}: refuse it with 400, or pass it on untouched.`,
    }),
  )

const port = (description: string, byDefault?: number) =>
  Type.Integer({
    minimum: 0,
    maximum: 65_535,
    description,
    ...(byDefault !== undefined && { default: byDefault }),
  })

const address = (what: string, byDefault: number, enabled = true) =>
  Type.Optional(
    Type.Object(
      {
        host: Type.Optional(
          Type.String({ minLength: 1, default: '127.0.0.1', description: 'Address to listen on.' }),
        ),
        port: Type.Optional(port('Port; 0 picks a free one.', byDefault)),
        enabled: Type.Optional(
          Type.Boolean({ default: enabled, description: 'Whether it is opened at all.' }),
        ),
      },
      { default: {}, description: what },
    ),
  )

/** What stands under `gateway:`. Every field has a default. */
export const gatewaySchema = Type.Object(
  {
    listeners: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.Optional(
              Type.String({
                minLength: 1,
                description:
                  'For logs and metrics; by default the protocol, and a number from the second on.',
              }),
            ),
            host: Type.Optional(
              Type.String({ minLength: 1, default: '0.0.0.0', description: 'Address to listen on.' }),
            ),
            port: Type.Optional(
              port(
                'Port; 0 picks a free one. Default: 9080, or 9443 with `protocol: https`; required with `tcp`, `tls` and `udp`.',
              ),
            ),
            protocol: Type.Optional(
              Type.Enum(listenerProtocols, {
                default: 'http',
                description:
                  'What is spoken. With `https` and `tls`, certificates are those of [ssls](#ssls). Sessions of `tcp`, `tls` and `udp` go where [stream_routes](#stream_routes) say.',
              }),
            ),
            ssl: Type.Optional(
              Type.String({
                minLength: 1,
                description:
                  'With `https` and `tls`: one of [ssls](#ssls), by its id, which every client gets, whatever name it asks for.',
              }),
            ),
            passthrough: Type.Optional(
              Type.Boolean({
                default: false,
                description:
                  'With `protocol: tls`: pass TLS on as it is, by the name that the client asks for, rather than end it here.',
              }),
            ),
            proxy_protocol: Type.Optional(
              Type.Object(
                {
                  trusted: Type.Array(Type.String({ format: 'cidr' }), {
                    description: 'Addresses and CIDR blocks of the load balancers that are believed.',
                  }),
                  untrusted: Type.Optional(
                    Type.Enum(['close', 'ignore'], {
                      default: 'close',
                      description:
                        'What becomes of connections of others: they are closed, or their header is read and not believed, as in APISIX.',
                    }),
                  ),
                },
                {
                  description:
                    'Every connection has to begin with a header of the PROXY protocol, version 1 or 2, which says who the client is. Not with `udp`.',
                },
              ),
            ),
            proxy_protocol_to_upstream: Type.Optional(
              Type.Enum(proxyProtocolVersions, {
                description:
                  'Of `tcp` and `tls`: tell upstreams that do not say it themselves who the client is, in a header of this version.',
              }),
            ),
            http2_limits: Type.Optional(
              Type.Object(
                {
                  streams: count(100, 'Requests of a connection at once; what goes beyond is refused.'),
                  resets: count(
                    100,
                    'Requests of a connection that may end early at once, whoever resets them.',
                  ),
                  resets_per_second: count(10, 'The same for every further second.'),
                  overhead: size(
                    '128KiB',
                    'Bytes that are no part of a request, at once: PING, SETTINGS, PRIORITY, empty frames.',
                  ),
                  overhead_per_second: size('32KiB', 'The same for every further second.'),
                },
                {
                  description:
                    'What one connection of HTTP/2 may cost; who goes beyond the last four loses it (`ENHANCE_YOUR_CALM`).',
                },
              ),
            ),
            http2: Type.Optional(
              Type.Boolean({
                default: true,
                description:
                  'With `http` and `https`: HTTP/2 too, on the same port: with TLS for clients that choose it (ALPN `h2`), without for those that begin with it (prior knowledge).',
              }),
            ),
          },
          {
            'x-unsupported': { tls: 'settings of one listener' },
            'x-instead': {
              tls: 'Write protocol: https, and what holds for all such listeners under gateway.tls.',
            },
          },
        ),
        {
          minItems: 1,
          default: [{ name: 'http', host: '0.0.0.0', port: 9080 }],
          description: 'Where traffic comes in.',
        },
      ),
    ),
    workers: Type.Optional(
      Type.Union([Type.Enum(['auto']), Type.Integer({ minimum: 1, maximum: 512 })], {
        default: 'auto',
        description: 'Data threads; `auto` is one per processor that the process may use.',
        'x-form': '`auto` or a number from 1 on',
      }),
    ),
    router: Type.Optional(
      Type.Enum(['radixtree_host_uri', 'radixtree_uri', 'radixtree_uri_with_parameter'], {
        default: 'radixtree_host_uri',
        description:
          'Host first and then path; path first with the host as a filter; or that with `:name` for one segment.',
      }),
    ),
    trusted_addresses: Type.Optional(
      Type.Array(Type.String({ format: 'cidr' }), {
        default: [],
        description: 'Addresses and CIDR blocks whose `X-Forwarded-*` fields are believed.',
      }),
    ),
    timeouts: Type.Optional(
      Type.Object(
        {
          handshake: duration(
            '10s',
            'From a connection to the end of its TLS handshake, and of its PROXY protocol header.',
          ),
          header: duration('10s', 'From the first byte of a request to the end of its head.'),
          body_idle: duration('30s', 'The longest pause inside a request body.'),
          keepalive: duration('60s', 'How long a client connection may be idle between requests.'),
          session: duration(
            '10m',
            'How long a TCP session may be silent, where its upstream has no timeout.',
          ),
          datagrams: duration(
            '1m',
            'How long a UDP session may be silent before it is over, where its upstream has no timeout.',
          ),
          write_stall: duration('30s', 'How long a peer may take nothing of what there is for it.'),
          drain: duration('30s', 'Grace for requests in flight when the gateway stops.'),
        },
        { default: {}, description: 'Timeouts towards clients.' },
      ),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          head: size('32KiB', 'Bytes of a request or response head.'),
          headers: count(100, 'Field lines of a head.'),
          target: size('16KiB', 'Bytes of a request target.'),
          body: size(0, 'Bytes of a request body; 0 is no limit.'),
          replay: size('64KiB', 'Bytes of a request body that may be held so that it can be sent again.'),
          post_args: size(
            '64MiB',
            'Bytes of a request body that is read for the variables `post_arg` and `request_body`; a larger one has none of them. 0 is no limit.',
          ),
          graphql: size('1MiB', 'The same for the variables `graphql_*`.'),
          held_bodies: size(
            '256MiB',
            'Bytes of all bodies that a data thread holds for such variables at once; what is beyond is answered with 503.',
          ),
          connections: count(20_000, 'Open client connections of the whole process.'),
          connection_buffer: size(
            '128KiB',
            'Bytes that wait for a slow client or upstream before the other side is asked to stop sending; of a stream, where a connection has several.',
          ),
          requests_per_connection: count(10_000, 'Requests after which a client connection is closed.'),
          websocket_message: size(
            0,
            'Bytes of a message in a WebSocket, in either direction; a larger one closes it with 1009. 0 is no limit.',
          ),
          websocket_rate: Type.Optional(
            Type.Integer({
              minimum: 0,
              default: 0,
              description:
                'Messages of a second in each direction of a WebSocket; one more closes it with 1008. 0 is no limit.',
            }),
          ),
          datagram_sessions: count(
            10_000,
            'UDP sessions of each data thread; datagrams that would begin one more are dropped. They count as connections, too.',
          ),
        },
        { default: {}, description: 'Limits towards clients.' },
      ),
    ),
    paths: Type.Optional(
      Type.Object(
        {
          encoded_slash: Type.Optional(
            Type.Enum(['reject', 'keep', 'decode'], {
              default: 'reject',
              description:
                'A target with `%2F`: refuse it with 400; pass it on untouched, as part of its segment; or take it for a slash, for routing and upstream alike.',
            }),
          ),
          encoded_backslash: keep('`%5C`'),
          encoded_nul: keep('`%00`'),
          backslash: keep('a backslash'),
          repeated_slashes: Type.Optional(
            Type.Union([Type.Literal('merge'), Type.Literal('keep'), Type.Literal('reject')], {
              default: 'merge',
              description:
                'What happens with `//`: made one slash, for routing and upstream alike; kept; or refused.',
            }),
          ),
          parameters: Type.Optional(
            Type.Enum(['check', 'keep', 'reject', 'ignore'], {
              default: 'check',
              description:
                'What happens with `;x` in a segment, which some servers cut off: refused where cutting it would lead to ' +
                'another route; kept; always refused; or cut for routes and policies, while the upstream sees it.',
            }),
          ),
          trailing_slash: Type.Optional(
            Type.Enum(['keep', 'ignore'], {
              default: 'keep',
              description:
                'Whether `/a/` is another path than `/a`. `ignore`: routes and policies see `/a` for both, the upstream what was sent.',
            }),
          ),
        },
        { default: {}, description: 'Targets that two parsers could read differently.' },
      ),
    ),
    forwarding: Type.Optional(
      Type.Object(
        {
          via: Type.Optional(
            Type.String({
              pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
              description: 'Pseudonym to send in `Via`; none is sent without it.',
              'x-form': 'a token (RFC 9110, section 5.6.2)',
            }),
          ),
          forwarded: Type.Optional(
            Type.Boolean({ default: false, description: 'Send `Forwarded` (RFC 7239).' }),
          ),
          replace_server: Type.Optional(
            Type.Boolean({
              default: false,
              description:
                'Put `gateway.server` in place of the `Server` field of upstreams too, as APISIX does with its own.',
            }),
          ),
          show_cause: Type.Optional(
            Type.Boolean({
              default: false,
              description:
                'Send clients `X-Sluice-Cause` with every answer of the gateway itself: who caused it, and why ([Causes](errors.md)).',
            }),
          ),
          show_upstream_status: Type.Optional(
            Type.Boolean({
              default: false,
              description:
                'Send clients `X-APISIX-Upstream-Status` with every answer of an upstream. Without it they see it when the last status is from 500 to 599, as in APISIX.',
            }),
          ),
        },
        { default: {}, description: 'Fields that upstreams and clients see beyond those of APISIX.' },
      ),
    ),
    tls: Type.Optional(
      Type.Object(
        {
          protocols: Type.Optional(
            Type.Array(Type.Enum(tlsProtocols), {
              minItems: 1,
              uniqueItems: true,
              default: ['TLSv1.2', 'TLSv1.3'],
              description: 'Versions, for certificates that name none.',
            }),
          ),
          ciphers: Type.Optional(
            Type.String({
              minLength: 1,
              default: defaultCiphers,
              description: 'Cipher suites before TLS 1.3, in the words of OpenSSL.',
            }),
          ),
          session_tickets: Type.Optional(
            Type.Boolean({
              default: true,
              description: 'Whether clients get tickets with which their next handshake is a short one.',
            }),
          ),
          session_ticket_rotation: duration(
            '12h',
            'How long a key of tickets is used. All threads use the same; none is ever stored.',
          ),
          fallback_sni: Type.Optional(
            Type.String({
              default: '',
              description:
                'The name that clients which ask for none are taken to ask for. Without, their handshake fails.',
            }),
          ),
        },
        { default: {}, description: 'TLS towards clients.' },
      ),
    ),
    upstream_tls: Type.Optional(
      Type.Object(
        {
          verify: Type.Optional(
            Type.Union([Type.Boolean(), Type.Literal('never')], {
              description:
                'Whether the certificates of nodes have to be valid, for upstreams that do not say themselves; `never` is stronger than what they say. Default: `true`; `false` where a configuration file of APISIX is given, which never looks at them.',
              'x-form': '`true`, `false`, `never`',
            }),
          ),
          ca: Type.Optional(
            Type.Array(Type.String({ minLength: 1 }), {
              default: [],
              description:
                'Files with the certificates that are trusted, in PEM; `system` stands for those of the operating system. Without, those that Node.js brings. Files are read with the configuration.',
            }),
          ),
        },
        { default: {}, description: 'TLS towards upstreams.' },
      ),
    ),
    server: Type.Optional(
      Type.String({
        pattern: '^[\\x21-\\x7e]*( [\\x21-\\x7e]+)*$',
        description: '`Server` of the gateway’s own answers; empty for none. Default: `sluice/VERSION`.',
        'x-form': 'printable ASCII',
      }),
    ),
    https_port: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        description:
          'Port at which clients reach the gateway with https, for the policy `redirect`. Default: that of the first listener with `protocol: https`, else 443.',
      }),
    ),
    dns: Type.Optional(
      Type.Object(
        {
          min_ttl: duration('1s', 'Shortest time a resolved name is kept, whatever its record says.'),
          max_ttl: duration('5m', 'Longest time a resolved name is kept, whatever its record says.'),
          timeout: duration('5s', 'Longest wait for an answer.'),
        },
        { default: {}, description: 'Resolution of the host names of nodes.' },
      ),
    ),
    health_checks: Type.Optional(
      Type.Boolean({
        default: true,
        description:
          'Whether `checks` and `outlier_ejection` of upstreams are in force. Without, every endpoint is usable.',
      }),
    ),
    discovery: Type.Optional(discoverySchema),
    secrets: Type.Optional(
      Type.Object(
        {
          ttl: duration('5m', 'After that time a secret is read again from its manager.'),
          failure_ttl: duration('1m', 'After that time one that could not be read is tried again.'),
          timeout: duration('5s', 'Longest wait for a manager.'),
          unresolved: Type.Optional(
            Type.Enum(['refuse', 'deny'], {
              default: 'refuse',
              description:
                'A configuration with a reference that leads to no secret: `refuse` it, or take it with a warning and `deny` the requests that need the secret, until there is one.',
            }),
          ),
        },
        { default: {}, description: 'References to secrets in the configuration of policies.' },
      ),
    ),
    control: address('The control endpoints (`/v1/...`).', 9090),
    metrics: address('Metrics and health.', 9091),
    prometheus: Type.Optional(prometheusSchema),
    tracing: Type.Optional(tracingSchema),
    batch_requests: Type.Optional(
      Type.Object(
        {
          path: Type.Optional(
            Type.String({
              pattern: '^/[!-~]*$',
              default: '/apisix/batch-requests',
              description: 'Path of the endpoint that a route shows to clients with the policy `public-api`.',
              'x-form': 'a path',
            }),
          ),
        },
        { default: {}, description: 'Several requests in one, see the policy `batch-requests`.' },
      ),
    ),
    commands: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        default: [],
        description:
          'Programs that policies such as `mcp-bridge` may start, as they are named there. They run with the rights of the gateway. Policies that come over the Admin API or from a control plane start none.',
      }),
    ),
    status: address('`/status` and `/status/ready`, as APISIX has them.', 7085, false),
    probe: address('`/probes/readiness` and `/probes/liveness`, as Flex Gateway has them.', 3000, false),
    flex: Type.Optional(
      Type.Object(
        {
          strict: Type.Optional(
            Type.Boolean({
              default: true,
              description:
                'Whether what Flex Gateway ignores without a word is refused: a wrong `apiVersion`, an unknown kind or field, a binding of nothing. `false`: such findings are warnings.',
            }),
          ),
        },
        { default: {}, description: 'How resources of Flex Gateway are read.' },
      ),
    ),
    admin: Type.Optional(
      Type.Object(
        {
          host: Type.Optional(
            Type.String({ minLength: 1, default: '127.0.0.1', description: 'Address to listen on.' }),
          ),
          port: Type.Optional(port('Port; 0 picks a free one.', 9180)),
          enabled: Type.Optional(
            Type.Boolean({
              default: true,
              description: 'Whether it is opened at all. Without a key it is not.',
            }),
          ),
          keys: Type.Optional(
            Type.Array(
              Type.Object({
                name: Type.Optional(
                  Type.String({
                    minLength: 1,
                    description: 'Whose key it is, for the audit log; by default the role.',
                  }),
                ),
                role: Type.Optional(
                  Type.Enum(['admin', 'viewer'], { default: 'admin', description: 'A `viewer` only reads.' }),
                ),
                key: Type.String({
                  description: 'At least 16 characters, and no key that is published anywhere.',
                  'x-secret': true,
                }),
              }),
              {
                default: [],
                description:
                  'Who may use it. The environment variable `SLUICE_ADMIN_KEY`, or the file that `SLUICE_ADMIN_KEY_FILE` names, adds an administrator.',
              },
            ),
          ),
          key_required: Type.Optional(
            Type.Boolean({
              default: true,
              description: 'Whether a key is asked for; without, it can listen on a loopback address only.',
            }),
          ),
          allow: Type.Optional(
            Type.Array(Type.String({ format: 'cidr' }), {
              default: ['127.0.0.0/8', '::1'],
              description: 'Clients that are let in, by address and CIDR block; all when empty.',
            }),
          ),
          keyring: Type.Optional(
            Type.Array(Type.String({ minLength: 16, 'x-secret': true }), {
              default: [],
              'x-secret': true,
              description:
                'Keys that encrypt what is kept in `data_dir`, of at least 16 characters: the first encrypts, all of them decrypt. Without any, it is not encrypted.',
            }),
          ),
          encrypt: Type.Optional(
            Type.Boolean({
              default: true,
              description: '`false`: what is kept is written without encryption, though there are keys.',
            }),
          ),
          cors: Type.Optional(
            Type.Boolean({
              default: true,
              description: 'Whether pages of other sites may use it in a browser, with a key that they send.',
            }),
          ),
          api_version: Type.Optional(
            Type.Enum(['v3', 'v2'], {
              default: 'v3',
              description:
                'Shape of the answers: `v2` is that of APISIX 2, with `action` and `node` around resources, and without choosing from lists.',
            }),
          ),
          audit_log: Type.Optional(
            Type.String({
              minLength: 1,
              description:
                'File with a line of JSON for every request that would change something; without, they stand in the log.',
            }),
          ),
        },
        { default: {}, description: 'The Admin API (`/apisix/admin/...`).' },
      ),
    ),
    cache: Type.Optional(
      Type.Object(
        {
          ttl: duration(
            '10s',
            'How long an answer on disk is fresh when neither `Cache-Control` nor `Expires` says it.',
          ),
          zones: Type.Optional(
            Type.Array(
              Type.Object({
                name: Type.String({
                  minLength: 1,
                  maxLength: 100,
                  description: 'As `cache_zone` of a policy has it.',
                }),
                size: size('50MiB', 'Bytes of answers; what was not used for the longest time makes room.'),
                path: Type.Optional(
                  Type.String({
                    pattern: '^/',
                    description:
                      'Folder of a zone on disk, which outlives the process; without it, the zone is in memory. It must belong to the user of the gateway, and others must not be able to write to it.',
                    'x-form': 'an absolute path',
                  }),
                ),
                levels: Type.Optional(
                  Type.String({
                    pattern: '^[12](:[12]){0,2}$',
                    default: '1:2',
                    description: 'How files are spread over folders, as in nginx.',
                    'x-form': 'one to three numbers 1 or 2 with colons between them',
                  }),
                ),
              }),
              { default: defaultZones, description: 'Zones that threads share. Names are unique.' },
            ),
          ),
        },
        { default: {}, description: 'Where policies such as `proxy-cache` store answers.' },
      ),
    ),
    sync: Type.Optional(
      Type.Object(
        {
          registration: Type.Optional(
            Type.String({
              minLength: 1,
              description:
                'File with the registration. Default: what the environment variable `SLUICE_REGISTRATION` names, else the first `registration.yaml` in a folder of the configuration, in the working directory, in `/etc/sluice`, or where Flex Gateway has it.',
            }),
          ),
          max_size: size('64MiB', 'Bytes of a configuration that is taken.'),
          heartbeat: duration('10s', 'Time between two reports to the control plane.'),
          telemetry: duration(
            '15s',
            'Time between two uploads of metrics to the control plane, which has the health of upstreams too; 0s: none.',
          ),
          start_timeout: duration(
            '30s',
            'How long a start without a kept configuration waits for the control plane.',
          ),
          renew: Type.Optional(
            Type.Boolean({
              default: true,
              description: 'Renew the certificate of the registration after two thirds of its life.',
            }),
          ),
          proxy: Type.Optional(
            Type.String({
              pattern: '^https?://',
              description: 'URL of an HTTP proxy that leads to the control plane.',
              'x-form': 'an http:// or https:// URL',
              'x-secret': true,
            }),
          ),
        },
        { default: {}, description: 'The connection to a control plane, for a gateway that is registered.' },
      ),
    ),
    policies: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        default: [],
        description:
          'Policies of your own: folders, relative to the file that names them, or installed packages. Each folder in there with a `policy.ts` or `policy.js` is one ([Write a policy](../guides/write-a-policy.md)).',
      }),
    ),
    functions: Type.Optional(
      Type.Object(
        {
          folder: Type.Optional(
            Type.String({
              minLength: 1,
              description:
                'Folder, relative to the file that names it, with the modules whose functions resources of the Admin API may name. Without, they may name no code; configuration files may in any case.',
            }),
          ),
        },
        {
          default: {},
          description: 'Functions of your own for policies ([Serverless](../guides/serverless.md)).',
        },
      ),
    ),
    watchdog: Type.Optional(
      Type.Object(
        {
          slow: duration(
            '1s',
            'After that time without an answer the log has the thread, and the policy that holds it.',
          ),
          stuck: duration(
            '10s',
            'After that time the thread is ended and replaced; its connections are lost.',
          ),
          unsettled: duration(
            '60s',
            'A promise of a function or a policy of your own that has not settled by then has failed: its request gets 500, and the log names who made it.',
          ),
          heap: size(
            0,
            'Bytes of JavaScript objects that one data thread may hold, 16 MiB at least; beyond, the thread is ended and replaced. 0 leaves it to Node.js. Counts for threads that start from then on; buffers are outside of it.',
          ),
        },
        {
          default: {},
          description: 'Data threads that do not answer, because a policy holds them for example.',
        },
      ),
    ),
    data_dir: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Folder for what the gateway keeps itself, such as resources of the Admin API; `:memory:` keeps them no longer than the process. Default: `/var/lib/sluice` where it exists, else `.sluice` in the working directory.',
      }),
    ),
    log: Type.Optional(
      Type.Object(
        {
          level: Type.Optional(
            Type.Enum(['trace', 'debug', 'info', 'warn', 'error'], {
              default: 'info',
              description: 'The least severe level that is written.',
            }),
          ),
        },
        { default: {}, description: 'The log of the gateway itself, on standard error.' },
      ),
    ),
  },
  { description: 'The gateway itself. Every field has a default.' },
)

export type GatewayInput = Static<typeof gatewaySchema>

/** Objects whose fields have all been filled in, as the schema's defaults do at every level. */
type Filled<T> = T extends readonly unknown[]
  ? { [K in keyof T]: Filled<T[K]> }
  : T extends object
    ? { [K in keyof T]-?: Filled<Exclude<T[K], undefined>> }
    : T

/** How many data threads these settings mean on this machine. */
export function dataThreadsOf({ workers }: Settings): number {
  return workers === 'auto' ? availableParallelism() : workers
}

/** Settings of a checked `gateway:` in which the schema's defaults were filled in. `version` is the gateway's. */
export function resolveSettings(input: GatewayInput, version: string): Settings {
  const gateway = input as Filled<GatewayInput>
  const { timeouts, limits, dns } = gateway
  return {
    listeners: gateway.listeners.map((listener, index) => ({
      name: listener.name ?? (index === 0 ? listener.protocol : `${listener.protocol}-${index + 1}`),
      host: listener.host,
      port: listener.port ?? standardListenerPorts[listener.protocol] ?? 0,
      protocol: listener.protocol,
      ...(listener.http2 && ['http', 'https'].includes(listener.protocol) && { http2: true as const }),
      ...(listener.ssl !== undefined && { ssl: listener.ssl }),
      ...(listener.http2_limits !== undefined && {
        http2_limits: {
          ...listener.http2_limits,
          overhead: parseSize(listener.http2_limits.overhead),
          overhead_per_second: parseSize(listener.http2_limits.overhead_per_second),
        },
      }),
      ...(listener.passthrough && { passthrough: true as const }),
      ...(listener.proxy_protocol !== undefined && { proxy_protocol: listener.proxy_protocol }),
      ...(listener.proxy_protocol_to_upstream !== undefined && {
        proxy_protocol_to_upstream: listener.proxy_protocol_to_upstream,
      }),
    })),
    router: gateway.router,
    workers: gateway.workers,
    trusted_addresses: gateway.trusted_addresses,
    timeouts: {
      handshake: parseDuration(timeouts.handshake),
      header: parseDuration(timeouts.header),
      body_idle: parseDuration(timeouts.body_idle),
      keepalive: parseDuration(timeouts.keepalive),
      session: parseDuration(timeouts.session),
      datagrams: parseDuration(timeouts.datagrams),
      write_stall: parseDuration(timeouts.write_stall),
      drain: parseDuration(timeouts.drain),
    },
    limits: {
      head: parseSize(limits.head),
      headers: limits.headers,
      target: parseSize(limits.target),
      body: parseSize(limits.body),
      replay: parseSize(limits.replay),
      post_args: parseSize(limits.post_args),
      graphql: parseSize(limits.graphql),
      held_bodies: parseSize(limits.held_bodies),
      connections: limits.connections,
      connection_buffer: parseSize(limits.connection_buffer),
      requests_per_connection: limits.requests_per_connection,
      websocket_message: parseSize(limits.websocket_message),
      websocket_rate: limits.websocket_rate,
      datagram_sessions: limits.datagram_sessions,
    },
    paths: gateway.paths,
    forwarding: gateway.forwarding,
    tls: {
      protocols: gateway.tls.protocols,
      ciphers: gateway.tls.ciphers,
      session_tickets: gateway.tls.session_tickets,
      session_ticket_rotation: parseDuration(gateway.tls.session_ticket_rotation),
      fallback_sni: gateway.tls.fallback_sni.toLowerCase().replace(/\.$/, ''),
    },
    upstream_tls: { verify: input.upstream_tls?.verify ?? true, ca: [] },
    server: input.server ?? `sluice/${version}`,
    https_port: input.https_port ?? httpsPortOf(input),
    dns: {
      min_ttl: parseDuration(dns.min_ttl),
      max_ttl: parseDuration(dns.max_ttl),
      timeout: parseDuration(dns.timeout),
    },
    health_checks: gateway.health_checks,
    discovery: discoverySettings(input.discovery ?? {}, parseDuration(gateway.discovery.start_timeout)),
    secrets: {
      ttl: parseDuration(gateway.secrets.ttl),
      failure_ttl: parseDuration(gateway.secrets.failure_ttl),
      timeout: parseDuration(gateway.secrets.timeout),
      unresolved: gateway.secrets.unresolved,
    },
    control: gateway.control,
    metrics: gateway.metrics,
    prometheus: prometheusSettings(input.prometheus ?? {}),
    tracing: tracingSettings(input.tracing),
    batch_requests: gateway.batch_requests,
    commands: gateway.commands,
    status: gateway.status,
    probe: gateway.probe,
    admin: adminSettings(gateway.admin, input.admin),
    cache: {
      ttl: parseDuration(gateway.cache.ttl),
      zones: gateway.cache.zones.map(({ name, size, levels, path }) => ({
        name,
        size: parseSize(size),
        levels: levels.split(':').map(Number),
        ...(path !== undefined && { path }),
      })),
    },
    sync: {
      max_size: parseSize(gateway.sync.max_size),
      heartbeat: parseDuration(gateway.sync.heartbeat),
      telemetry: parseDuration(gateway.sync.telemetry),
      start_timeout: parseDuration(gateway.sync.start_timeout),
      renew: gateway.sync.renew,
      ...(input.sync?.registration !== undefined && { registration: input.sync.registration }),
      ...(input.sync?.proxy !== undefined && { proxy: input.sync.proxy }),
    },
    policies: [],
    functions: { ...gateway.functions, modules: [] },
    watchdog: {
      slow: parseDuration(gateway.watchdog.slow),
      stuck: parseDuration(gateway.watchdog.stuck),
      unsettled: parseDuration(gateway.watchdog.unsettled),
      heap: parseSize(gateway.watchdog.heap),
    },
    data_dir: input.data_dir ?? defaultDataFolder(),
    log: gateway.log,
  }
}

function httpsPortOf({ listeners = [] }: GatewayInput): number {
  const secure = listeners.find(({ protocol }) => protocol === 'https')
  return secure === undefined ? 443 : (secure.port ?? standardListenerPorts.https!)
}

function adminSettings(admin: Filled<GatewayInput>['admin'], input: GatewayInput['admin']): AdminSettings {
  const keys = admin.keys.map(({ role, key }, index) => ({
    name: input?.keys?.[index]?.name ?? role,
    role,
    key,
  }))
  const { audit_log: auditLog, ...others } = admin
  return {
    ...others,
    keys,
    enabled: admin.enabled && (keys.length > 0 || !admin.key_required),
    ...(input?.audit_log !== undefined && { audit_log: auditLog }),
  }
}

const systemFolder = '/var/lib/sluice'

const defaultDataFolder = () => (existsSync(systemFolder) ? systemFolder : '.sluice')
