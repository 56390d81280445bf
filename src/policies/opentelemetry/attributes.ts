/** Name and attributes of the span of a request, as APISIX has them. */
import { type Exchange, type PolicyHost, responseSource } from '../kit/index.ts'
import { isSecretName, loggedUri, textOfBytes } from '../kit/logging/index.ts'
import type { Attribute, Span } from '../kit/tracing/index.ts'

interface Wanted {
  readonly additional_attributes?: readonly string[]
  readonly additional_header_prefix_attributes?: readonly string[]
}

export function spanDescriber(
  { additional_attributes: names = [], additional_header_prefix_attributes: fields = [] }: Wanted,
  host: Pick<PolicyHost, 'variable'>,
): (exchange: Exchange) => Pick<Span, 'name' | 'attributes' | 'error'> {
  const variables = names.map((name) => [name, host.variable(name)] as const)
  const prefixes = fields.filter(isPrefix).map((field) => field.slice(0, -1).toLowerCase())
  const whole = fields.filter((field) => !isPrefix(field))
  return (exchange) => {
    const { request, response, binding } = exchange
    const attributes = usual(exchange)
    for (const [name, read] of variables) {
      const value = read(exchange)
      if (value !== undefined) attributes.push([name, textOfBytes(value)])
    }
    for (const field of whole) {
      const value = request.headers.getAll(field.toLowerCase())
      if (value !== undefined) attributes.push([field, textOfBytes(value)])
    }
    if (prefixes.length > 0) addByPrefix(attributes, prefixes, request.headers)
    const { status } = response
    const route = binding?.matchedUri ?? ''
    return {
      name: route === '' ? request.method : `${request.method} ${route}`,
      attributes,
      ...(status >= 500 && { error: `${responseSource(exchange)} error: ${status}` }),
    }
  }
}

function isPrefix(field: string): boolean {
  return field.length >= 2 && field.endsWith('*')
}

function usual(exchange: Exchange): Attribute[] {
  const { request, response, client, binding } = exchange
  const agent = textOfBytes(request.headers.sent('user-agent') ?? '')
  const attributes: Attribute[] = [
    ['net.host.name', request.host],
    ['http.method', request.method],
    ['http.scheme', client.scheme],
    ['http.target', loggedUri(exchange)],
    ['http.user_agent', agent],
    ['http.request.method', request.method],
    ['url.scheme', client.scheme],
    ['url.path', textOfBytes(request.path)],
    ['user_agent.original', agent],
  ]
  if (binding !== null) {
    attributes.push(['apisix.route_id', binding.routeId], ['apisix.route_name', binding.routeName])
    attributes.push(['http.route', binding.matchedUri])
    if (binding.serviceId !== '')
      attributes.push(['apisix.service_id', binding.serviceId], ['apisix.service_name', binding.serviceName])
  }
  attributes.push(
    ['apisix.response_source', responseSource(exchange)],
    ['http.status_code', response.status],
    ['http.response.status_code', response.status],
  )
  return attributes
}

function addByPrefix(
  attributes: Attribute[],
  prefixes: readonly string[],
  headers: Exchange['request']['headers'],
): void {
  const seen = new Set<string>()
  headers.forEach((written) => {
    const name = written.toLowerCase()
    if (seen.has(name) || !prefixes.some((prefix) => name.startsWith(prefix))) return
    seen.add(name)
    attributes.push([name, isSecretName(name) ? '***' : textOfBytes(headers.getAll(name) ?? '')])
  })
}
