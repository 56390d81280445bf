/**
 * Every error that the gateway answers itself. Codes are stable: they appear in logs and metrics and are never reused.
 * The page for a status is nginx's shape, which is what APISIX sends (`reference: apisix, part j`).
 */
export interface GatewayError {
  readonly code: string
  readonly status: number
  /** Who is to blame, for logs: the client, the gateway's configuration, or the upstream. */
  readonly source: 'client' | 'gateway' | 'upstream'
}

function define(code: string, status: number, source: GatewayError['source']): GatewayError {
  return { code, status, source }
}

export const errors = {
  badRequest: define('bad_request', 400, 'client'),
  badTarget: define('bad_target', 400, 'client'),
  badHost: define('bad_host', 400, 'client'),
  plainHttp: define('plain_http_on_tls_port', 400, 'client'),
  clientCertificate: define('client_certificate_required', 400, 'client'),
  badBody: define('bad_request_body', 400, 'client'),
  headTimeout: define('request_head_timeout', 408, 'client'),
  bodyTimeout: define('request_body_timeout', 408, 'client'),
  bodyTooLarge: define('request_body_too_large', 413, 'client'),
  targetTooLong: define('target_too_long', 414, 'client'),
  unknownExpectation: define('unknown_expectation', 417, 'client'),
  headTooLarge: define('request_head_too_large', 431, 'client'),
  tooManyFields: define('too_many_request_fields', 431, 'client'),
  methodNotAllowed: define('method_not_allowed', 405, 'client'),
  routeNotFound: define('route_not_found', 404, 'client'),
  policyFailed: define('policy_failed', 500, 'gateway'),
  secretMissing: define('secret_missing', 503, 'gateway'),
  serviceMissing: define('service_missing', 404, 'gateway'),
  pluginConfigMissing: define('plugin_config_missing', 503, 'gateway'),
  consumerGroupMissing: define('consumer_group_missing', 503, 'gateway'),
  unknownMethod: define('unknown_method', 501, 'client'),
  unknownCoding: define('unknown_transfer_coding', 501, 'client'),
  versionNotSupported: define('version_not_supported', 505, 'client'),
  tooManyHeldBodies: define('too_many_held_bodies', 503, 'gateway'),
  upstreamSpeaksNoHttp: define('upstream_speaks_no_http', 500, 'gateway'),
  noUpstream: define('no_upstream', 503, 'gateway'),
  unknownUpstream: define('unknown_upstream', 502, 'gateway'),
  noEndpoint: define('no_endpoint', 503, 'upstream'),
  nameUnresolved: define('upstream_name_unresolved', 503, 'upstream'),
  noEndpointWithWeight: define('no_endpoint_with_weight', 502, 'gateway'),
  tooManyRequests: define('upstream_max_requests', 503, 'upstream'),
  tooManyConnections: define('upstream_max_connections', 503, 'upstream'),
  tooManyPending: define('upstream_max_pending', 503, 'upstream'),
  unknownBalancing: define('unknown_balancing', 502, 'gateway'),
  allEndpointsTried: define('all_endpoints_tried', 502, 'upstream'),
  retryTimeout: define('upstream_retry_timeout', 502, 'upstream'),
  connectFailed: define('upstream_connect_failed', 502, 'upstream'),
  connectTimeout: define('upstream_connect_timeout', 504, 'upstream'),
  upstreamClosed: define('upstream_closed', 502, 'upstream'),
  upstreamTimeout: define('upstream_timeout', 504, 'upstream'),
  badResponse: define('upstream_bad_response', 502, 'upstream'),
  upstreamRefused: define('upstream_refused', 503, 'upstream'),
  deadlineExceeded: define('deadline_exceeded', 504, 'client'),
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
