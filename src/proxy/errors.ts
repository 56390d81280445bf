/**
 * Every error that the gateway answers itself. Codes are stable: they appear in logs and metrics and are never reused.
 * The page for a status is nginx's shape, which is what APISIX sends (`reference: apisix, part j`).
 */
export interface GatewayError {
  readonly code: string
  readonly status: number
  /** Who is to blame, for logs: the client, the gateway's configuration, or the upstream. */
  readonly source: 'client' | 'gateway' | 'upstream'
  /** One sentence for the reference page. */
  readonly meaning: string
}

function define(code: string, status: number, source: GatewayError['source'], meaning: string): GatewayError {
  return { code, status, source, meaning }
}

export const errors = {
  badRequest: define('bad_request', 400, 'client', 'The head of the request is malformed.'),
  badTarget: define('bad_target', 400, 'client', 'Its target is malformed, or could mean two paths.'),
  badHost: define('bad_host', 400, 'client', '`Host` is missing, doubled or malformed.'),
  plainHttp: define('plain_http_on_tls_port', 400, 'client', 'It came without TLS to a listener with TLS.'),
  clientCertificate: define(
    'client_certificate_required',
    400,
    'client',
    'Its host asks for a client certificate that was not shown.',
  ),
  badBody: define('bad_request_body', 400, 'client', 'The framing of its body is malformed.'),
  headTimeout: define('request_head_timeout', 408, 'client', 'Its head took too long.'),
  bodyTimeout: define('request_body_timeout', 408, 'client', 'Its body paused too long.'),
  bodyTooLarge: define('request_body_too_large', 413, 'client', 'Its body is larger than `limits.body`.'),
  targetTooLong: define('target_too_long', 414, 'client', 'Its target is longer than `limits.target`.'),
  unknownExpectation: define(
    'unknown_expectation',
    417,
    'client',
    '`Expect` has another value than 100-continue.',
  ),
  headTooLarge: define('request_head_too_large', 431, 'client', 'Its head is larger than `limits.head`.'),
  tooManyFields: define(
    'too_many_request_fields',
    431,
    'client',
    'Its head has more fields than `limits.headers`.',
  ),
  methodNotAllowed: define('method_not_allowed', 405, 'client', 'The method is not allowed here.'),
  routeNotFound: define('route_not_found', 404, 'client', 'No route takes it.'),
  policyFailed: define('policy_failed', 500, 'gateway', 'A policy threw; the log has the reason.'),
  secretMissing: define(
    'secret_missing',
    503,
    'gateway',
    'A secret that the configuration refers to is not there.',
  ),
  serviceMissing: define('service_missing', 404, 'gateway', 'The service of its route is not there.'),
  pluginConfigMissing: define(
    'plugin_config_missing',
    503,
    'gateway',
    'The plugin config of its route is not there.',
  ),
  consumerGroupMissing: define(
    'consumer_group_missing',
    503,
    'gateway',
    'The group of its consumer is not there.',
  ),
  unknownMethod: define('unknown_method', 501, 'client', 'The method is not known.'),
  unknownCoding: define(
    'unknown_transfer_coding',
    501,
    'client',
    '`Transfer-Encoding` names another coding than chunked.',
  ),
  versionNotSupported: define('version_not_supported', 505, 'client', 'The version of HTTP is not known.'),
  tooManyHeldBodies: define(
    'too_many_held_bodies',
    503,
    'gateway',
    'The thread holds as many bytes of bodies as `limits.held_bodies` allows.',
  ),
  upstreamSpeaksNoHttp: define('upstream_speaks_no_http', 500, 'gateway', 'Its upstream is one for streams.'),
  noUpstream: define('no_upstream', 503, 'gateway', 'Its route has no upstream.'),
  unknownUpstream: define('unknown_upstream', 502, 'gateway', 'The upstream of its route is not there.'),
  noEndpoint: define('no_endpoint', 503, 'upstream', 'Its upstream has no endpoints.'),
  nameUnresolved: define(
    'upstream_name_unresolved',
    503,
    'upstream',
    'The names of its endpoints do not resolve.',
  ),
  noEndpointWithWeight: define(
    'no_endpoint_with_weight',
    502,
    'gateway',
    'No endpoint of its upstream has a weight.',
  ),
  tooManyRequests: define(
    'upstream_max_requests',
    503,
    'upstream',
    'The circuit breaker admits no more requests.',
  ),
  tooManyConnections: define('upstream_max_connections', 503, 'upstream', 'It admits no more connections.'),
  tooManyPending: define('upstream_max_pending', 503, 'upstream', 'It admits no more waiting requests.'),
  tooManyPools: define('upstream_max_pools', 503, 'upstream', 'It admits no more pools of connections.'),
  unknownBalancing: define(
    'unknown_balancing',
    502,
    'gateway',
    'Its upstream names a balancer that is not known.',
  ),
  allEndpointsTried: define(
    'all_endpoints_tried',
    502,
    'upstream',
    'Every endpoint was tried, and each failed.',
  ),
  retryTimeout: define('upstream_retry_timeout', 502, 'upstream', 'The time for further attempts is over.'),
  connectFailed: define('upstream_connect_failed', 502, 'upstream', 'No connection to an endpoint.'),
  connectTimeout: define('upstream_connect_timeout', 504, 'upstream', 'A connection took too long.'),
  upstreamClosed: define(
    'upstream_closed',
    502,
    'upstream',
    'The endpoint closed the connection before its answer.',
  ),
  upstreamTimeout: define('upstream_timeout', 504, 'upstream', 'The endpoint took too long.'),
  badResponse: define('upstream_bad_response', 502, 'upstream', 'What the endpoint sent is no valid answer.'),
  upstreamRefused: define(
    'upstream_refused',
    503,
    'upstream',
    'The endpoint said that it did nothing about the request.',
  ),
  deadlineExceeded: define(
    'deadline_exceeded',
    504,
    'client',
    'The time that a call of gRPC gave itself is over.',
  ),
} as const

/** What nginx says to clients that speak without TLS where it is spoken. */
const plainHttpText = 'The plain HTTP request was sent to HTTPS port'
export const plainHttpPage = `<html>\r\n<head><title>400 ${plainHttpText}</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n<center>${plainHttpText}</center>\r\n</body>\r\n</html>\r\n`

const pages = new Map<number, string>()

/** The plain page for a status of the gateway's own. */
export function statusPage(status: number): string {
  let page = pages.get(status)
  if (page === undefined) {
    const title = `${status} ${pageTitles[status] ?? reasonPhrase(status)}`
    page = `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n</body>\r\n</html>\r\n`
    pages.set(status, page)
  }
  return page
}

/** nginx's own titles where they differ from the registered phrases; clients of APISIX compare them. */
const pageTitles: Readonly<Record<number, string>> = {
  401: 'Authorization Required',
  405: 'Not Allowed',
  408: 'Request Time-out',
  413: 'Request Entity Too Large',
  414: 'Request-URI Too Large',
  416: 'Requested Range Not Satisfiable',
  503: 'Service Temporarily Unavailable',
  504: 'Gateway Time-out',
}

/** The registered phrases (RFC 9110 15 and the IANA registry). `node:http` has them too, but costs each thread 40 ms to load. */
const phrases: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  203: 'Non-Authoritative Information',
  204: 'No Content',
  205: 'Reset Content',
  206: 'Partial Content',
  207: 'Multi-Status',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  418: "I'm a teapot",
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  423: 'Locked',
  424: 'Failed Dependency',
  425: 'Too Early',
  426: 'Upgrade Required',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  451: 'Unavailable For Legal Reasons',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  507: 'Insufficient Storage',
  511: 'Network Authentication Required',
}

export function reasonPhrase(status: number): string {
  return phrases[status] ?? 'Unknown'
}
