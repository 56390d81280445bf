import type { WrkRun } from './wrk.ts'

/**
 * Reads the text of h2load, and its log: one line for each answer, with its status and microseconds.
 * Throws a SyntaxError when the totals are missing, with what it said instead.
 */
export function parseH2load(text: string, log: string, seconds: number): WrkRun {
  const totals = /^requests: \d+ total, \d+ started, (\d+) done, \d+ succeeded, (\d+) failed/m.exec(text)
  const statuses = /^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/m.exec(text)
  if (!totals || !statuses || Number(totals[1]) === 0)
    throw new SyntaxError(`h2load gave no result: ${text.trim()}`)
  const times = log
    .split('\n')
    .flatMap((line) => (line === '' ? [] : Number(line.split('\t')[2])))
    .sort((a, b) => a - b)
  const part = (share: number) => times[Math.floor(share * (times.length - 1))] ?? 0
  const requests = Number(totals[1])
  return {
    requests,
    seconds,
    requestsPerSecond: requests / seconds,
    p50: part(0.5),
    p99: part(0.99),
    refused: Number(statuses[3]) + Number(statuses[4]),
    failed: Number(totals[2]) - Number(statuses[3]) - Number(statuses[4]),
  }
}
