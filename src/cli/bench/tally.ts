import { Histogram } from './histogram.ts'

/** What a load test has seen so far. */
export class Tally {
  readonly latencies = new Histogram()
  /** Answers by status. */
  readonly statuses = new Map<number, number>()
  /** Requests without a complete answer, by what went wrong. */
  readonly errors = new Map<string, number>()
  /** Body bytes received, of complete answers and of others. */
  bytes = 0

  answered(status: number, microseconds: number): void {
    this.latencies.record(microseconds)
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1)
  }

  failed(kind: string): void {
    this.errors.set(kind, (this.errors.get(kind) ?? 0) + 1)
  }

  get answers(): number {
    return this.latencies.count
  }

  get failures(): number {
    return sum(this.errors.values())
  }

  /** Answers with a status below 400. */
  get successes(): number {
    return sum([...this.statuses].map(([status, count]) => (status < 400 ? count : 0)))
  }
}

const kinds: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  UND_ERR_SOCKET: 'connection closed',
  UND_ERR_CONNECT_TIMEOUT: 'connect timeout',
  UND_ERR_HEADERS_TIMEOUT: 'answer timeout',
  UND_ERR_BODY_TIMEOUT: 'answer timeout',
  ENOTFOUND: 'name not found',
  EAI_AGAIN: 'name not found',
  EMFILE: 'too many open files',
}

/** A short name for what went wrong; the error's own code when it is none of the usual. */
export function kindOf(error: Error): string {
  const code = 'code' in error ? String(error.code) : error.name
  return kinds[code] ?? (code.startsWith('HPE_') ? `invalid answer (${code})` : code)
}

function sum(counts: Iterable<number>): number {
  let total = 0
  for (const count of counts) total += count
  return total
}
