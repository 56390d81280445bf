/** What the span of an exchange says of it, in OpenTelemetry's semantic conventions for HTTP servers. */
import type { TraceLabel } from '../../../config/tracing-settings.ts'
import type { Exchange } from '../../../proxy/exchange.ts'
import { loggedUri } from '../logging/entry.ts'
import { textOfBytes } from '../logging/text-of-bytes.ts'
import type { Attribute, Span } from './span.ts'

/** Of the span as a whole; credentials in the query are blacked out. */
export function describeExchange(
  exchange: Exchange,
): Pick<Span, 'name' | 'error'> & { attributes: Attribute[] } {
  const { request, response, client, binding, consumer, errorCode, rejectedBy, outcome } = exchange
  const route = binding?.matchedUri ?? ''
  const uri = loggedUri(exchange)
  const mark = uri.indexOf('?')
  const attributes: Attribute[] = [
    ['http.request.method', request.method],
    ['url.scheme', client.scheme],
    ['url.path', mark === -1 ? uri : uri.slice(0, mark)],
    ['server.address', request.host],
    ['server.port', client.localPort],
    ['client.address', client.address],
    ['network.peer.address', client.peerAddress],
    ['network.peer.port', client.peerPort],
    ['network.protocol.name', 'http'],
    ['network.protocol.version', request.version],
  ]
  if (mark !== -1) attributes.push(['url.query', uri.slice(mark + 1)])
  const agent = request.headers.sent('user-agent')
  if (agent !== undefined) attributes.push(['user_agent.original', textOfBytes(agent)])
  if (response.status !== 0) attributes.push(['http.response.status_code', response.status])
  if (route !== '') attributes.push(['http.route', route])
  if (binding !== null) {
    attributes.push(['sluice.route.id', binding.routeId])
    if (binding.serviceId !== '') attributes.push(['sluice.service.id', binding.serviceId])
  }
  if (consumer !== null) attributes.push(['sluice.consumer', consumer.username])
  if (rejectedBy !== '') attributes.push(['sluice.answered_by', rejectedBy])
  if (errorCode !== '') attributes.push(['sluice.error.code', errorCode])
  const error = failureOf(response.status, errorCode, outcome)
  if (error !== undefined) attributes.push(['error.type', error])
  return { name: route === '' ? request.method : `${request.method} ${route}`, attributes, error }
}

/** A server's span has failed from 500 on, or when the answer broke off. */
function failureOf(status: number, errorCode: string, outcome: Exchange['outcome']): string | undefined {
  if (outcome === 'upstream_abort' || outcome === 'client_abort') return outcome
  if (status < 500) return undefined
  return errorCode === '' ? String(status) : errorCode
}

/** Reads labels; those without a value are left out. */
export function labelReader(labels: readonly TraceLabel[]): (exchange: Exchange) => Attribute[] {
  const fixed: Attribute[] = []
  const fields: { name: string; field: string; fallback: string | undefined }[] = []
  for (const { name, type, key = name, default: fallback } of labels) {
    if (type === 'request_header') fields.push({ name, field: key.toLowerCase(), fallback })
    else {
      const value = type === 'literal' ? fallback : (process.env[key] ?? fallback)
      if (value !== undefined) fixed.push([name, value])
    }
  }
  return ({ request }) => {
    const read = [...fixed]
    for (const { name, field, fallback } of fields) {
      const sent = request.headers.sent(field)
      const value = sent === undefined ? fallback : textOfBytes(sent)
      if (value !== undefined) read.push([name, value])
    }
    return read
  }
}
