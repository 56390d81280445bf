/** Why an endpoint was last counted as failing, in words and in one number for shared memory. */

const sources = ['probe', 'traffic'] as const
const failures = ['status', 'connect_failed', 'closed', 'timeout', 'bad_response', 'tls_failed'] as const

export interface Reason {
  source: (typeof sources)[number]
  failure: (typeof failures)[number]
  /** With `status`; else 0. */
  status: number
}

/** 0 is no reason. */
export function reasonCode({ source, failure, status }: Reason): number {
  return ((sources.indexOf(source) + 1) << 16) | (failures.indexOf(failure) << 12) | status
}

export function reasonOf(code: number): Reason | undefined {
  const source = sources[(code >> 16) - 1]
  const failure = failures[(code >> 12) & 0xf]
  return source === undefined || failure === undefined ? undefined : { source, failure, status: code & 0xfff }
}

const words: Record<Reason['failure'], string> = {
  status: 'status',
  connect_failed: 'no connection',
  closed: 'the connection broke off',
  timeout: 'no answer in time',
  bad_response: 'an answer that is not HTTP',
  tls_failed: 'the TLS handshake failed',
}

/** `probe: status 500`, `traffic: no connection`. */
export function describeReason({ source, failure, status }: Reason): string {
  return `${source}: ${words[failure]}${failure === 'status' ? ` ${status}` : ''}`
}
