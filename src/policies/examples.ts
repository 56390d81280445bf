/**
 * One example of each built-in policy: the reference shows it, a test runs it through a gateway, and the bench measures
 * what it costs. Without one for each name this file does not compile.
 */
import type { PolicyName } from './index.ts'

/** Services that examples name listen on this port of 127.0.0.1, with HTTP. */
export const servicePort = 9301
/** The same for takers of lines, over TCP and UDP. */
export const sinkPort = 9302

type PluginConfig = Readonly<Record<string, unknown>>

export interface PolicyExample {
  /** As it stands under `plugins` of a route. */
  readonly config: PluginConfig
  /** What a consumer carries for it. */
  readonly credential?: PluginConfig
  /** Its `plugin_metadata`. */
  readonly metadata?: PluginConfig
  /** Policies of the same route, without which it has nothing to do. */
  readonly beside?: { readonly [name in PolicyName]?: PluginConfig }
  /** An item of `protos`. */
  readonly proto?: { readonly id: string; readonly content: string }
  /** A contract of the consumer with the route is of this tier. */
  readonly tier?: string
}

const service = `http://127.0.0.1:${servicePort}`
const sink = { host: '127.0.0.1', port: sinkPort }
const languageModel = {
  provider: 'openai-compatible',
  auth: { header: { Authorization: 'Bearer of-the-provider' } },
  override: { endpoint: `${service}/v1/chat/completions` },
} as const
const quota = { count: 100_000_000, time_window: 60, rejected_code: 429 }

export const examples: { readonly [name in PolicyName]: PolicyExample } = {
  'access-block': { config: {} },
  acl: { config: { allow_labels: { team: ['orders', 'billing'] } }, beside: { 'key-auth': {} } },
  'ai-aliyun-content-moderation': {
    config: {
      endpoint: service,
      region_id: 'cn-shanghai',
      access_key_id: 'gateway',
      access_key_secret: 'of-the-gateway',
      risk_level_bar: 'medium',
    },
    beside: { 'ai-proxy': languageModel },
  },
  'ai-aws-content-moderation': {
    config: {
      comprehend: {
        access_key_id: 'gateway',
        secret_access_key: 'of-the-gateway',
        region: 'eu-west-1',
        endpoint: service,
      },
      moderation_categories: { INSULT: 0.8 },
    },
    beside: { 'ai-proxy': languageModel },
  },
  'ai-lakera-guard': {
    config: { api_key: 'of-the-gateway', lakera_endpoint: `${service}/v2/guard` },
    beside: { 'ai-proxy': languageModel },
  },
  'ai-prompt-decorator': {
    config: { prepend: [{ role: 'system', content: 'Answer in one sentence.' }] },
  },
  'ai-prompt-guard': { config: { deny_patterns: ['ignore (all|previous) instructions'] } },
  'ai-prompt-template': {
    config: {
      templates: [
        {
          name: 'explain',
          template: { model: 'gpt-4o', messages: [{ role: 'user', content: 'Explain {{subject}}.' }] },
        },
      ],
    },
  },
  'ai-proxy': { config: { ...languageModel, options: { model: 'gpt-4o' } } },
  'ai-proxy-multi': {
    config: {
      instances: [
        { name: 'large', weight: 1, ...languageModel, options: { model: 'gpt-4o' } },
        { name: 'small', weight: 1, ...languageModel, options: { model: 'gpt-4o-mini' } },
      ],
    },
  },
  'ai-rag': {
    config: {
      embeddings_provider: {
        azure_openai: { endpoint: `${service}/embeddings`, api_key: 'of-the-gateway' },
      },
      vector_search_provider: {
        azure_ai_search: { endpoint: `${service}/search`, api_key: 'of-the-gateway' },
      },
    },
  },
  'ai-rate-limiting': {
    config: { limit: 100_000_000, time_window: 60 },
    beside: { 'ai-proxy': { ...languageModel, options: { model: 'gpt-4o' } } },
  },
  'ai-request-rewrite': { config: { prompt: 'Remove names of people.', ...languageModel } },
  'api-breaker': { config: { break_response_code: 503, unhealthy: { http_statuses: [500], failures: 3 } } },
  'attach-consumer-label': { config: { headers: { 'X-Team': '$team' } }, beside: { 'key-auth': {} } },
  'authz-keycloak': {
    config: {
      client_id: 'gateway',
      token_endpoint: `${service}/realms/shop/protocol/openid-connect/token`,
      permissions: ['orders#read'],
    },
  },
  'bandwidth-limit': { config: { rate: 1_000_000_000 } },
  'basic-auth': { config: {}, credential: { username: 'alice', password: 'wonderland' } },
  'batch-requests': { config: {}, beside: { 'public-api': { uri: '/apisix/batch-requests' } } },
  'body-transformer': {
    config: { request: { input_format: 'json', template: '{"order":{*_escape_json(note)*}}' } },
  },
  brotli: { config: { types: ['application/json'], comp_level: 4 } },
  'clickhouse-logger': {
    config: {
      endpoint_addr: service,
      user: 'default',
      password: 'secret',
      database: 'logs',
      logtable: 'requests',
    },
  },
  'client-control': { config: { max_body_size: 1_048_576 } },
  'client-id-enforcement': {
    config: { credentialsOriginHasHttpBasicAuthenticationHeader: 'httpBasicAuthenticationHeader' },
    credential: { client_id: 'orders-app', client_secret: 'looking-glass' },
  },
  'consumer-restriction': { config: { whitelist: ['alice', 'bob'] }, beside: { 'key-auth': {} } },
  cors: { config: { allow_origins: 'https://app.example.com', allow_methods: 'GET,POST', max_age: 600 } },
  'cors-flex': {
    config: {
      publicResource: false,
      originGroups: [
        {
          origins: ['https://shop.example'],
          methods: ['GET'],
          headers: ['X-Requested-With'],
          exposedHeaders: ['X-Total'],
        },
      ],
    },
  },
  'credential-injection-basic-auth-flex': { config: { username: 'gateway', password: 'of-the-service' } },
  'credential-injection-oauth2-flex': {
    config: {
      oauthService: `${service}/token`,
      clientId: 'gateway',
      clientSecret: 'of-the-example',
      scope: ['orders'],
      allowRequestWithoutCredential: true,
    },
  },
  csrf: { config: { key: 'keep-this-secret' } },
  'data-mask': {
    config: {
      request: [{ type: 'body', body_format: 'json', name: '$.note', action: 'replace', value: '***' }],
    },
    beside: { 'message-logging': { sink: { type: 'file', path: 'access.log' } } },
  },
  datadog: { config: {}, metadata: { ...sink } },
  degraphql: {
    config: { query: 'query ($note: String) { orders(note: $note) { id } }', variables: ['note'] },
  },
  echo: { config: { headers: { 'X-Echo': 'here' }, after_body: '\n' } },
  'elasticsearch-logger': { config: { endpoint_addr: service, field: { index: 'requests' } } },
  'error-log-logger': { config: {}, metadata: { tcp: { host: '127.0.0.1', port: 5170 } } },
  'error-page': { config: {}, metadata: { enable: true, error_404: { body: '<h1>Not here</h1>' } } },
  'example-plugin': { config: { i: 1 }, metadata: { ikey: 1, skey: 'one' } },
  'exit-transformer': { config: { functions: ['./functions.ts#shape'] }, beside: { 'key-auth': {} } },
  'fault-injection': {
    config: { abort: { http_status: 503, body: 'on purpose', vars: [[['http_x_chaos', '==', 'yes']]] } },
  },
  'file-logger': { config: { path: 'access.log' } },
  'forward-auth': {
    config: { uri: `${service}/verify`, request_headers: ['Authorization'], upstream_headers: ['X-User'] },
  },
  'google-cloud-logging': {
    config: {
      auth_file: 'google-account.json',
    },
  },
  'graphql-limit-count': { config: quota },
  'graphql-proxy-cache': {
    config: { cache_strategy: 'memory', cache_zone: 'memory_cache', cache_ttl: 60 },
  },
  'grpc-transcode': {
    config: { proto_id: 'greeter', service: 'helloworld.Greeter', method: 'SayHello', deadline: 2000 },
    proto: {
      id: 'greeter',
      content: [
        'syntax = "proto3";',
        'package helloworld;',
        'service Greeter { rpc SayHello (HelloRequest) returns (HelloReply); }',
        'message HelloRequest { string name = 1; }',
        'message HelloReply { string message = 1; }',
        '',
      ].join('\n'),
    },
  },
  'grpc-web': { config: { cors_allow_headers: 'content-type,x-grpc-web,x-user-agent,authorization' } },
  gzip: { config: { types: ['application/json'], comp_level: 1 } },
  'header-injection-flex': {
    config: {
      inboundHeaders: [{ key: 'X-Caller', value: "#[attributes.headers['user-agent'] default 'nobody']" }],
      outboundHeaders: [{ key: 'X-Outcome', value: "#['status ' ++ attributes.statusCode]" }],
    },
  },
  'header-removal-flex': { config: { inboundHeaders: ['X-Debug'], outboundHeaders: ['x-powered-.*'] } },
  'hmac-auth': {
    config: { signed_headers: ['date'], clock_skew: 300 },
    credential: { key_id: 'alice-key', secret_key: 'down-the-rabbit-hole' },
  },
  'http-basic-authentication-flex': { config: { username: 'ada', password: 'of-the-example' } },
  'http-logger': { config: { uri: `${service}/logs` } },
  'injection-protection-flex': {
    config: {
      builtInProtections: ['sql', 'xss'],
      protectPathAndQuery: true,
      protectHeaders: false,
      protectBody: false,
      rejectRequests: true,
    },
  },
  'ip-allowlist-flex': { config: { ips: ['127.0.0.1', '10.0.0.0/8', '192.168'] } },
  'ip-blocklist-flex': { config: { ips: ['203.0.113.0/24'] } },
  'ip-restriction': { config: { whitelist: ['127.0.0.0/8', '10.0.0.0/8', '2001:db8::/32'] } },
  'json-threat-protection': { config: { max_container_depth: 10, max_string_value_length: 10_000 } },
  'jwe-decrypt': {
    config: {},
    credential: { key: 'alice-key', secret: 'thirty-two-bytes-of-a-secret-key' },
  },
  'jwt-auth': {
    config: {},
    credential: { key: 'alice-key', secret: 'a-secret-of-at-least-thirty-two-bytes' },
  },
  'jwt-validation-flex': {
    config: {
      signingMethod: 'hmac',
      textKey: 'of-the-example-with-32-characters',
      mandatoryExpClaim: true,
      skipClientIdValidation: true,
    },
    credential: { client_id: 'orders-app' },
  },
  'kafka-logger': { config: { brokers: [{ host: '127.0.0.1', port: sinkPort }], kafka_topic: 'requests' } },
  'key-auth': { config: { hide_credentials: true }, credential: { key: 'key-of-alice' } },
  'ldap-auth-advanced': {
    config: { base_dn: 'ou=users,dc=example,dc=org', ldap_uri: '127.0.0.1:1389', attribute: 'uid' },
    credential: { user_dn: 'uid=user01,ou=users,dc=example,dc=org' },
  },
  lago: {
    config: {
      endpoint_addrs: [service],
      token: 'key-of-lago',
      event_transaction_id: 'req_$request_id',
      event_subscription_id: 'cus_$consumer_name',
      event_code: 'requests',
    },
  },
  'ldap-auth': {
    config: { base_dn: 'ou=users,dc=example,dc=org', ldap_uri: '127.0.0.1:1389' },
    credential: { user_dn: 'cn=alice,ou=users,dc=example,dc=org' },
  },
  'ldap-authentication-flex': {
    config: {
      ldapServerURL: 'ldap://127.0.0.1:389',
      ldapServerUserDn: 'cn=gateway,dc=example,dc=org',
      ldapServerUserPassword: 'of-the-example',
      ldapSearchBase: 'ou=users,dc=example,dc=org',
    },
  },
  'limit-conn': { config: { conn: 1000, burst: 100, default_conn_delay: 0.1, key: 'remote_addr' } },
  'limit-count': { config: quota },
  'limit-req': { config: { rate: 1_000_000, burst: 1_000_000, key: 'remote_addr', nodelay: true } },
  loggly: {
    config: { customer_token: 'token-of-loggly', tags: ['shop'] },
    metadata: { ...sink, protocol: 'syslog' },
  },
  'loki-logger': { config: { endpoint_addrs: [service] } },
  'mcp-bridge': { config: { base_uri: '/orders', command: 'mcp-orders', args: ['--read-only'] } },
  'message-logging': {
    config: { sink: { type: 'file', path: 'access.log' }, fields: { agent: '$http_user_agent' } },
  },
  'message-logging-flex': {
    config: {
      loggingConfiguration: [
        {
          itemName: 'answers',
          itemData: {
            message: "#['answered with ' ++ toString(attributes.statusCode)]",
            secondSection: true,
          },
        },
      ],
    },
  },
  mocking: { config: { response_example: '{"id":"$request_id"}', content_type: 'application/json' } },
  'mqtt-proxy': { config: { protocol_level: 4 } },
  'multi-auth': {
    config: { auth_plugins: [{ 'basic-auth': {} }, { 'key-auth': { header: 'apikey' } }] },
  },
  'native-ext-authz-flex': { config: { uri: `${service}/auth`, serviceResponseUpstreamHeaders: ['X-User'] } },
  'node-status': { config: {} },
  'oas-validator': {
    config: {
      spec: JSON.stringify({
        openapi: '3.0.3',
        info: { title: 'Orders', version: '1' },
        paths: {
          '/orders': {
            post: {
              requestBody: {
                content: {
                  'application/json': {
                    schema: { type: 'object', required: ['note'], properties: { note: { type: 'string' } } },
                  },
                },
              },
              responses: { 200: { description: 'The orders.' } },
            },
          },
        },
      }),
      reject_if_not_match: false,
    },
  },
  'oauth2-introspection': {
    config: {
      introspectionURL: `${service}/introspect`,
      authorizationValue: 'Basic Z2F0ZXdheTpzZWNyZXQ=',
      scopes: 'orders',
      skipClientIdValidation: true,
    },
    credential: { client_id: 'orders-app' },
  },
  opa: { config: { host: service, policy: 'shop' } },
  'openid-connect': {
    config: {
      client_id: 'gateway',
      client_secret: 'secret-of-the-gateway',
      discovery: `${service}/.well-known/openid-configuration`,
      bearer_only: true,
      use_jwks: true,
    },
  },
  opentelemetry: {
    config: {
      sampler: {
        name: 'parent_base',
        options: { root: { name: 'trace_id_ratio', options: { fraction: 0.01 } } },
      },
    },
    metadata: { collector: { address: `127.0.0.1:${servicePort}` } },
  },
  prometheus: { config: {} },
  'proxy-buffering': { config: { disable_proxy_buffering: true } },
  'proxy-cache': {
    config: {
      cache_strategy: 'memory',
      cache_zone: 'memory_cache',
      cache_key: ['$host', '$uri'],
      cache_ttl: 60,
    },
  },
  'proxy-control': { config: { request_buffering: false } },
  'proxy-mirror': { config: { host: service, sample_ratio: 0.1 } },
  'proxy-rewrite': {
    config: {
      regex_uri: ['^/api/(.*)', '/v2/$1'],
      headers: { set: { 'X-Gateway': 'sluice' }, remove: ['X-Debug'] },
    },
  },
  'public-api': { config: { uri: '/apisix/batch-requests' }, beside: { 'batch-requests': {} } },
  'rate-limiting-flex': {
    config: {
      rateLimits: [{ maximumRequests: 100_000_000, timePeriodInMilliseconds: 60_000 }],
      keySelector: "#[attributes.headers['x-api-key']]",
    },
  },
  'real-ip': { config: { source: 'http_x_forwarded_for', trusted_addresses: ['127.0.0.0/8'] } },
  redirect: { config: { regex_uri: ['^/old/(.*)', '/new/$1'], ret_code: 301 } },
  'referer-restriction': { config: { whitelist: ['*.example.com'], bypass_missing: true } },
  'request-id': { config: {} },
  'request-validation': {
    config: {
      body_schema: {
        type: 'object',
        required: ['note'],
        properties: { note: { type: 'string', maxLength: 1000 } },
      },
    },
  },
  'response-rewrite': { config: { headers: { set: { 'X-Served-By': 'sluice' }, remove: ['Server'] } } },
  'server-info': { config: {} },
  'serverless-post-function': { config: { phase: 'header_filter', functions: ['./functions.ts#mark'] } },
  'serverless-pre-function': { config: { phase: 'rewrite', functions: ['./functions.ts#label'] } },
  'skywalking-logger': { config: { endpoint_addr: service } },
  'route-weighted': { config: { base: '/', routes: [{ destinationPath: '/v1' }] } },
  'sla-rate-limiting': {
    config: {
      tiers: [{ name: 'gold', limits: [{ maximumRequests: 100_000_000, timePeriodInMilliseconds: 60_000 }] }],
    },
    beside: {
      'client-id-enforcement': {
        credentialsOriginHasHttpBasicAuthenticationHeader: 'httpBasicAuthenticationHeader',
      },
    },
    tier: 'gold',
  },
  'sls-logger': {
    config: {
      ...sink,
      project: 'shop',
      logstore: 'requests',
      access_key_id: 'id-of-the-key',
      access_key_secret: 'secret-of-the-key',
    },
  },
  'spike-control': { config: { maximumRequests: 1_000_000, timePeriodInMilliseconds: 1000 } },
  'splunk-hec-logging': {
    config: { endpoint: { uri: `${service}/services/collector`, token: 'token-of-splunk' } },
  },
  syslog: { config: sink },
  'tcp-logger': { config: sink },
  'traffic-label': {
    config: {
      rules: [{ match: [['http_x_beta', '==', 'yes']], actions: [{ set_headers: { 'X-Group': 'beta' } }] }],
    },
  },
  'traffic-split': {
    config: {
      rules: [
        {
          match: [{ vars: [['http_x_beta', '==', 'yes']] }],
          weighted_upstreams: [{ upstream: { nodes: { [`127.0.0.1:${servicePort}`]: 1 } }, weight: 1 }],
        },
      ],
    },
  },
  'ua-restriction': { config: { denylist: ['badbot', '^curl/[0-6]\\.'], bypass_missing: true } },
  'udp-logger': { config: sink },
  'uri-blocker': { config: { block_rules: ['\\.env$', '^/admin/', 'wp-login\\.php'] } },
  workflow: {
    config: {
      rules: [{ case: [['uri', '~~', '^/private/']], actions: [['return', { code: 403 }]] }],
    },
  },
  'xml-threat-protection': { config: { max_node_depth: 20, max_attribute_count_per_element: 20 } },
  zipkin: { config: { endpoint: `${service}/api/v2/spans`, sample_ratio: 0.01 } },
}
