/** What the engine of one data thread counts, in a fixed layout: no label sets, no announcements. */

/** Names are exposed as `sluice_<name>_total`. */
export const engineCounter = {
  /** Exchanges that began: a complete, valid request head was read. */
  requests: 0,
  /** Exchanges that are over, however they ended. `requests - responses` are in flight. */
  responses: 1,
  /** Heads and bodies that were refused as malformed. */
  bad_requests: 2,
  /** Without those refused. */
  connections_accepted: 3,
  /** Connections closed at once because the limit was reached. */
  connections_refused: 4,
  upstream_connects: 5,
  upstream_connect_failures: 6,
  /** Requests sent over a pooled connection. */
  upstream_reuses: 7,
  upstream_retries: 8,
  upstream_timeouts: 9,
  client_aborts: 10,
  /** Responses that an upstream broke off after their head. */
  upstream_aborts: 11,
  header_timeouts: 12,
  body_timeouts: 13,
  write_stalls: 14,
  /** Policies that threw. */
  policy_errors: 15,
  rejected_by_policy: 16,
  tls_handshakes: 17,
  /** Connections to a listener with TLS that ended before their handshake did. */
  tls_handshake_failures: 18,
  http2_connections: 19,
  /** Streams of HTTP/2 that either side ended before their exchange was over. */
  http2_early_ends: 20,
  /** Connections of HTTP/2 that were ended for too many of those. */
  http2_excess_resets: 21,
  /** Connections of HTTP/2 that were ended for frames that are no part of a request. */
  http2_floods: 22,
  /** Connections of HTTP/2 that broke the protocol, or a limit of it. */
  http2_session_errors: 23,
} as const

export type EngineCounterName = keyof typeof engineCounter

export const engineCounterHelp: Record<EngineCounterName, string> = {
  requests: 'Requests whose head was read.',
  responses: 'Requests that are over, however they ended.',
  bad_requests: 'Requests refused as malformed.',
  connections_accepted: 'Client connections accepted.',
  connections_refused: 'Client connections closed at once because the limit was reached.',
  upstream_connects: 'Connections opened to upstreams.',
  upstream_connect_failures: 'Connections to upstreams that could not be opened.',
  upstream_reuses: 'Requests sent over a pooled upstream connection.',
  upstream_retries: 'Attempts beyond the first.',
  upstream_timeouts: 'Attempts that ran out of time.',
  client_aborts: 'Requests whose client went away before the end.',
  upstream_aborts: 'Responses that an upstream broke off.',
  header_timeouts: 'Requests whose head took too long.',
  body_timeouts: 'Requests whose body paused too long.',
  write_stalls: 'Connections closed because the client took nothing.',
  policy_errors: 'Policies that threw.',
  rejected_by_policy: 'Requests answered by a policy.',
  tls_handshakes: 'TLS handshakes with clients that were completed.',
  tls_handshake_failures: 'Connections that ended before their TLS handshake did.',
  http2_connections: 'Client connections that speak HTTP/2.',
  http2_early_ends: 'HTTP/2 streams that either side ended before their exchange was over.',
  http2_excess_resets: 'HTTP/2 connections ended for streams that ended too early too often.',
  http2_floods: 'HTTP/2 connections ended for frames that are no part of a request.',
  http2_session_errors: 'HTTP/2 connections that broke the protocol or a limit of it.',
}

const size = Object.keys(engineCounter).length

export function createEngineCounterMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(size * Float64Array.BYTES_PER_ELEMENT)
}

/** Only the thread that owns the memory adds; others read. */
export class EngineCounters {
  readonly #values: Float64Array

  constructor(memory: SharedArrayBuffer = createEngineCounterMemory()) {
    this.#values = new Float64Array(memory)
  }

  /** `index` is one of `engineCounter`. */
  add(index: number, amount: number): void {
    this.#values[index]! += amount
  }

  get(name: EngineCounterName): number {
    return this.#values[engineCounter[name]]!
  }
}
