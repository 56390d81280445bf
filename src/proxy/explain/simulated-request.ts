/** A described request as the engine would have it: read by the same parser, cleaned and judged by the same rules. */
import type { ListenerSettings, Settings } from '../../config/settings.ts'
import { errors, type GatewayError } from '../errors.ts'
import { HttpExchange } from '../http-exchange.ts'
import { refusalOf } from '../http1/admission.ts'
import { ClientFacts } from '../http1/client-facts.ts'
import { Head, Parse } from '../http1/head.ts'
import { parseError } from '../http1/own-answer.ts'
import { cleanRequest } from '../http1/request-head.ts'
import { RequestTarget } from '../http1/request-target.ts'
import { readTarget, type TargetFault } from '../target.ts'
import type { TrustedAddresses } from '../trust.ts'
import type { RequestDescription } from './description.ts'

export interface SimulatedRequest {
  head: Head
  target: RequestTarget
  facts: ClientFacts
  exchange: HttpExchange
  /** One character a byte. */
  body: string
  refused: GatewayError | null
}

/** The request as it arrives at a listener; a head that cannot be read gives the error alone. */
export function simulateRequest(
  description: RequestDescription,
  listener: ListenerSettings,
  settings: Settings,
  trusted: TrustedAddresses,
): SimulatedRequest | GatewayError {
  const body = Buffer.from(description.body ?? '').toString('latin1')
  const bytes = Buffer.from(headText(description, body), 'latin1')
  const head = new Head(settings.limits.headers)
  const end = head.parseRequest(bytes, 0, bytes.length, settings.limits)
  if (end === Parse.incomplete || end !== bytes.length) return end < 0 ? parseError(end) : errors.badRequest
  const { from: peer = '127.0.0.1' } = description
  const local = listener.host === '0.0.0.0' || listener.host === '::' ? '127.0.0.1' : listener.host
  const facts = new ClientFacts(peer, 0, local, listener.port, listener.name, trusted, settings.forwarding)
  const target = new RequestTarget()
  const refused = refusalOf(head, target, settings)
  const exchange = new HttpExchange(facts, head, target, performance.now())
  exchange.host = target.host
  if (refused === null) {
    cleanRequest(head, facts.isTrusted, head.minor === 1)
    if (facts.isTrusted) exchange.client = facts.forRequest(exchange)
  }
  return { head, target, facts, exchange, body, refused }
}

function headText({ method, url, headers }: RequestDescription, body: string): string {
  const asked = url.startsWith('/') || url === '*' ? undefined : new URL(url)
  const lines = headers.map(([name, value]) => `${name}: ${Buffer.from(value).toString('latin1')}`)
  const has = (name: string) => headers.some(([field]) => field.toLowerCase() === name)
  if (!has('host')) lines.unshift(`Host: ${asked?.host ?? 'localhost'}`)
  if (body !== '' && !has('content-length') && !has('transfer-encoding')) {
    lines.push(`Content-Length: ${body.length}`)
  }
  return `${method} ${asked === undefined ? url : targetIn(url)} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`
}

/** As it was written: a URL object would have changed `/a/../b`. */
function targetIn(url: string): string {
  const target = /^[^:]+:\/\/[^/?#]*([^#]*)/.exec(url)?.[1] ?? ''
  return target.startsWith('/') ? target : `/${target}`
}

/** What is wrong with a target that was refused, in one sentence. */
export function targetProblem({ target }: Head, paths: Settings['paths']): string | undefined {
  const fault = readTarget(target, paths, { path: '', query: '', changed: false })
  return fault === null ? undefined : faults[fault]
}

const faults: Readonly<Record<TargetFault, string>> = {
  not_a_path: 'the target is not a path',
  bad_character: 'the path holds a character that may not stand in a request',
  fragment: 'the target holds a #, and a fragment never travels',
  bad_escape: 'the path holds a % without two hexadecimal digits',
  encoded_slash: 'the path holds %2F, which gateway.paths.encoded_slash refuses',
  encoded_backslash: 'the path holds %5C, which gateway.paths.encoded_backslash refuses',
  encoded_nul: 'the path holds %00, which gateway.paths.encoded_nul refuses',
  backslash: 'the path holds a backslash, which gateway.paths.backslash refuses',
  repeated_slashes: 'the path holds //, which gateway.paths.repeated_slashes refuses',
  parameters: 'the path holds a semicolon, which gateway.paths.parameters refuses',
}
