/** What one run of wrk measured. Latencies are of a closed loop at saturation: they rank queues, not gateways. */
export interface WrkRun {
  requests: number
  /** Seconds that wrk measured over. */
  seconds: number
  requestsPerSecond: number
  /** Microseconds. */
  p50: number
  p99: number
  /** Answers outside 2xx and 3xx. */
  refused: number
  /** Connections or requests that failed: connect, read, write, timeout. */
  failed: number
}

/** Reads the text of `wrk --latency`. Throws a SyntaxError when the totals are missing, with what wrk said instead. */
export function parseWrk(text: string): WrkRun {
  const totals = /^\s*(\d+) requests in ([\d.]+\w+),/m.exec(text)
  const rate = /^Requests\/sec:\s+([\d.]+)/m.exec(text)
  const p50 = /^\s*50%\s+(\S+)/m.exec(text)
  const p99 = /^\s*99%\s+(\S+)/m.exec(text)
  if (!totals || !rate || !p50 || !p99) throw new SyntaxError(`wrk gave no result: ${text.trim()}`)
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)
  return {
    requests: Number(totals[1]),
    seconds: micros(totals[2]!) / 1e6,
    requestsPerSecond: Number(rate[1]),
    p50: micros(p50[1]!),
    p99: micros(p99[1]!),
    refused: Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0),
    failed: errors ? errors.slice(1).reduce((sum, count) => sum + Number(count), 0) : 0,
  }
}

const unitMicros: Record<string, number> = { us: 1, ms: 1e3, s: 1e6, m: 60e6, h: 3600e6 }

function micros(duration: string): number {
  const [, number, unit] = /^([\d.]+)(us|ms|s|m|h)$/.exec(duration) ?? []
  if (number === undefined || unit === undefined) throw new SyntaxError(`not a duration of wrk: ${duration}`)
  return Number(number) * unitMicros[unit]!
}
