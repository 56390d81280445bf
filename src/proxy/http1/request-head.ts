/** Writes the head of the upstream's copy of a request (RFC 9110 7.6, RFC 9112 9.6). */
import type { Engine } from '../engine.ts'
import type { HttpExchange } from '../http-exchange.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { ClientFacts } from './client-facts.ts'
import { type Head, ID_SHIFT, UNDERSCORE } from './head.ts'
import { Field, knownId } from './known-fields.ts'

/** Fields that a client's Connection cannot take away: they are ours, frame the message, or guard it (CVE-2022-31813). */
const notNominated = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'authorization',
  'cookie',
  'cache-control',
])

/**
 * Drops what must not pass: hop-by-hop fields, those that Connection nominates, and every spelling of the fields that say
 * who the client is. Done once per request, before any policy sees it, so that nobody decides on what a client made up.
 */
export function cleanRequest(head: Head, trusted: boolean, http11: boolean): void {
  const { count } = head
  for (let n = 0; n < count; n++) {
    const info = head.info(n)
    const id = info >>> ID_SHIFT
    if (id === 0) {
      if (!trusted && head.nameStartsWith(n, 'x-forwarded-')) head.drop(n)
      else if ((info & UNDERSCORE) !== 0 && isOursWithDashes(head.name(n))) head.drop(n)
      continue
    }
    switch (id) {
      case Field.connection:
      case Field.keepAlive:
      case Field.proxyConnection:
      case Field.te:
      case Field.transferEncoding:
      case Field.upgrade:
      case Field.http2Settings:
      case Field.proxyAuthorization:
      case Field.xConsumerUsername:
      case Field.xCredentialIdentifier:
      case Field.xConsumerCustomId:
      case Field.xRealIp:
        head.drop(n)
        break
      case Field.xForwardedFor:
      case Field.xForwardedProto:
      case Field.xForwardedHost:
      case Field.xForwardedPort:
      case Field.forwarded:
        if (!trusted) head.drop(n)
        break
      case Field.expect:
        if (!http11 || (head.contentLength <= 0 && !head.chunked)) head.drop(n)
        break
      case Field.contentLength:
        // The number is written anew.
        if (!head.isPlainLength(n)) head.drop(n)
        break
      default:
    }
  }
  if (head.nominated !== null) dropNominated(head, head.nominated)
}

/** Many servers read `X_Real_IP` as `X-Real-IP`: a spelling with underscores of a field that we vouch for. */
function isOursWithDashes(name: string): boolean {
  const dashed = name.toLowerCase().replaceAll('_', '-')
  return knownId(dashed) !== 0 || dashed.startsWith('x-forwarded-')
}

function dropNominated(head: Head, names: readonly string[]): void {
  for (const name of names) {
    if (notNominated.has(name) || name.startsWith('x-forwarded-')) continue
    for (let n = 0; n < head.count; n++) if (!head.isDropped(n) && head.nameIs(n, name)) head.drop(n)
  }
}

/** The complete head for one attempt. */
export function requestHead(
  exchange: HttpExchange,
  upstream: Upstream,
  endpoint: Endpoint,
  facts: ClientFacts,
  engine: Pick<Engine, 'settings'>,
): string {
  const { head } = exchange
  // These two drop what they replace, so they come before the lines that are kept.
  const host = hostLine(exchange, upstream, endpoint)
  if (exchange.forwardedLines === '') exchange.forwardedLines = facts.forwardedLines(exchange)
  const edits = exchange.requestFields?.edits ?? null
  let text = `${exchange.upstreamMethod} ${exchange.forwardTarget} HTTP/1.1\r\n${host}${head.keptLines()}${exchange.forwardedLines}`
  if (exchange.forwardsChunks) text += 'Transfer-Encoding: chunked\r\n'
  else if (exchange.forwardedLength >= 0 && !hasContentLengthLine(head))
    text += `Content-Length: ${exchange.forwardedLength}\r\n`
  if (exchange.upgrade) text += 'Connection: upgrade\r\nUpgrade: websocket\r\n'
  // Where connections may be upgraded, APISIX passes on what the client says about its own.
  else if (head.connectionClose && exchange.binding?.webSocket === true) text += 'Connection: close\r\n'
  if (edits !== null) text += edits.text()
  const { via } = engine.settings.forwarding
  if (via !== undefined) text += `Via: ${exchange.version} ${via}\r\n`
  return `${text}\r\n`
}

/** The Host line, unless the client's own stays among the kept lines. */
function hostLine(exchange: HttpExchange, upstream: Upstream, endpoint: Endpoint): string {
  const { head } = exchange
  const { pass_host: mode, upstream_host: rewritten } = upstream.spec
  if (mode === 'pass') {
    if (exchange.newHost !== '') {
      dropHost(head)
      return `Host: ${exchange.newHost}\r\n`
    }
    if (exchange.authority === '' && head.hostField >= 0) return ''
    dropHost(head)
    return `Host: ${exchange.authority === '' ? endpoint.label : exchange.authority}\r\n`
  }
  dropHost(head)
  return `Host: ${mode === 'rewrite' ? (rewritten ?? endpoint.host) : endpoint.hostField}\r\n`
}

/** What Host will say, whichever way it gets there. */
export function upstreamHost(exchange: HttpExchange, upstream: Upstream, endpoint: Endpoint): string {
  const { head } = exchange
  const { pass_host: mode, upstream_host: rewritten } = upstream.spec
  if (mode === 'rewrite') return rewritten ?? endpoint.host
  if (mode === 'node') return endpoint.hostField
  if (exchange.newHost !== '') return exchange.newHost
  if (exchange.authority !== '') return exchange.authority
  return head.hostField >= 0 ? head.value(head.hostField) : endpoint.label
}

function dropHost(head: Head): void {
  if (head.hostField >= 0) head.drop(head.hostField)
}

function hasContentLengthLine(head: Head): boolean {
  for (let n = 0; n < head.count; n++)
    if (head.id(n) === Field.contentLength && !head.isDropped(n)) return true
  return false
}
