/** The names of all variables, for what names one: nginx's, and those that Apache APISIX adds. */

export const variableNames = [
  'uri',
  'document_uri',
  'request_uri',
  'real_request_uri',
  'args',
  'query_string',
  'is_args',
  'request',
  'request_line',
  'request_method',
  'method',
  'request_length',
  'server_protocol',
  'request_id',
  'apisix_request_id',
  'host',
  'content_length',
  'content_type',
  'remote_user',
  'remote_addr',
  'binary_remote_addr',
  'remote_port',
  'realip_remote_addr',
  'realip_remote_port',
  'server_addr',
  'server_port',
  'server_name',
  'scheme',
  'https',
  'proxy_add_x_forwarded_for',
  'ssl_protocol',
  'ssl_cipher',
  'ssl_server_name',
  'ssl_alpn_protocol',
  'ssl_session_reused',
  'ssl_client_verify',
  'ssl_client_s_dn',
  'ssl_client_i_dn',
  'ssl_client_serial',
  'ssl_client_fingerprint',
  'ssl_client_v_start',
  'ssl_client_v_end',
  'ssl_client_v_remain',
  'ssl_client_raw_cert',
  'ssl_client_cert',
  'ssl_client_escaped_cert',
  'route_id',
  'route_name',
  'service_id',
  'service_name',
  'consumer_name',
  'consumer_group_id',
  'balancer_ip',
  'balancer_port',
  'upstream_unresolved_host',
  'upstream_addr',
  'upstream_status',
  'upstream_header_time',
  'upstream_response_time',
  'status',
  'body_bytes_sent',
  'bytes_sent',
  'request_time',
  'request_completion',
  'hostname',
  'pid',
  'msec',
  'time_iso8601',
  'time_local',
] as const

/** Names that end in one of the request's own. Of two that fit, the first is meant. */
export const variableFamilies = [
  'http_',
  'upstream_http_',
  'sent_http_',
  'arg_',
  'cookie_',
  'uri_param_',
  'jwt_',
  'post_arg.',
  'post_arg_',
  'graphql_',
] as const

export type VariableName = (typeof variableNames)[number]
export type VariableFamily = (typeof variableFamilies)[number]

const known: ReadonlySet<string> = new Set([...variableNames, 'request_body'])

export const graphqlNames = ['graphql_operation', 'graphql_name', 'graphql_root_fields']

export function isVariableName(name: string): boolean {
  if (known.has(name)) return true
  if (name.startsWith('graphql_')) return graphqlNames.includes(name)
  return variableFamilies.some((family) => name.startsWith(family) && name.length > family.length)
}
