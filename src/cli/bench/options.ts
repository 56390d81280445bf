import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { durationPattern, parseDuration } from '../../config/units.ts'
import { version } from '../../version.ts'
import { type Option, UsageError } from '../command.ts'
import type { LoadPlan } from './load.ts'
import { type LoadRequest, parseMix, readMethod } from './mix.ts'

const longest = 10 * 60_000
const mostConnections = 10_000
const mostPerSecond = 1_000_000
const mostRequests = 1_000_000_000

export interface BenchOptions {
  url: URL
  plan: LoadPlan
  format: 'text' | 'json'
}

export const options: readonly Option[] = [
  { flags: '-c, --connections N', text: 'Connections kept open, 1 to 10000 (default: 50)' },
  {
    flags: '-d, --duration TIME',
    text: 'How long requests are sent, such as 500ms, 30s, 2m; at most 10m (default: 10s)',
  },
  {
    flags: '-r, --rate N',
    text: 'Requests per second over all connections (default: each connection sends as soon as it was answered)',
  },
  { flags: '-n, --requests N', text: 'Stop after so many requests' },
  { flags: '-X, --method METHOD', text: 'Method (default: GET, with a body POST)' },
  { flags: '-H, --header "NAME: VALUE"', text: 'Header field; repeatable' },
  { flags: '--body TEXT', text: 'Request body' },
  { flags: '--body-file FILE', text: 'Request body from a file' },
  {
    flags: '--mix FILE',
    text: 'Requests to pick from at random: JSON lines with method, path, headers, body, weight, all optional',
  },
  { flags: '--timeout TIME', text: 'Patience with one answer (default: 10s)' },
  { flags: '--format text|json', text: 'How to print the result (default: text)' },
]

/** Throws a UsageError, or what `util.parseArgs` throws, with what is wrong. */
export function readOptions(argv: string[], cwd: string): BenchOptions {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: {
      connections: { type: 'string', short: 'c', default: '50' },
      duration: { type: 'string', short: 'd', default: '10s' },
      rate: { type: 'string', short: 'r' },
      requests: { type: 'string', short: 'n' },
      method: { type: 'string', short: 'X' },
      header: { type: 'string', short: 'H', multiple: true, default: [] },
      body: { type: 'string' },
      'body-file': { type: 'string' },
      mix: { type: 'string' },
      timeout: { type: 'string', default: '10s' },
      format: { type: 'string', default: 'text' },
    },
  })
  const url = readUrl(positionals)
  if (values.format !== 'text' && values.format !== 'json')
    throw new UsageError(`--format is text or json, not '${values.format}'`)
  if (values.body !== undefined && values['body-file'] !== undefined)
    throw new UsageError('--body and --body-file exclude each other')

  const body =
    values['body-file'] === undefined ? values.body : readFile(cwd, '--body-file', values['body-file'])
  const method = readMethod(values.method ?? (body === undefined ? 'GET' : 'POST'))
  if (method === undefined) throw new UsageError(`--method: '${values.method}' cannot be sent`)
  const base: LoadRequest = {
    method,
    path: url.pathname + url.search,
    headers: readHeaders(values.header),
    body: body === undefined ? null : Buffer.from(body),
    weight: 1,
  }
  return {
    url,
    format: values.format,
    plan: {
      origin: url.origin,
      mix:
        values.mix === undefined
          ? [base]
          : parseMix(readFile(cwd, '--mix', values.mix).toString('utf8'), base),
      connections: readCount('connections', values.connections, mostConnections),
      ...(values.rate !== undefined && { rate: readCount('rate', values.rate, mostPerSecond) }),
      duration: readDuration('duration', values.duration),
      ...(values.requests !== undefined && {
        requests: readCount('requests', values.requests, mostRequests),
      }),
      timeout: readDuration('timeout', values.timeout),
    },
  }
}

function readUrl(positionals: readonly string[]): URL {
  const [text, ...others] = positionals
  if (text === undefined) throw new UsageError('Which URL? For example http://127.0.0.1:9080/')
  if (others.length > 0) throw new UsageError(`One URL only, not also '${others[0]}'`)
  if (!URL.canParse(text)) throw new UsageError(`'${text}' is not a URL; write http://HOST:PORT/PATH`)
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new UsageError(`'${text}': only http and https can be tested`)
  if (url.username !== '' || url.password !== '')
    throw new UsageError('Credentials go into a header: --header "Authorization: Basic ..."')
  return url
}

function readHeaders(lines: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = { 'User-Agent': `sluice-bench/${version}` }
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon)
    if (colon < 1 || /[^\w!#$%&'*+.^`|~-]/.test(name))
      throw new UsageError(`--header: '${line}' is not of the form 'Name: value'`)
    for (const other of Object.keys(headers))
      if (other.toLowerCase() === name.toLowerCase()) delete headers[other]
    headers[name] = line.slice(colon + 1).trim()
  }
  return headers
}

function readCount(name: string, text: string, most: number): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1 || number > most)
    throw new UsageError(`--${name} is a whole number from 1 to ${most}, not '${text}'`)
  return number
}

function readDuration(name: string, text: string): number {
  const duration = durationPattern.test(text) ? parseDuration(text) : 0
  if (duration < 1 || duration > longest)
    throw new UsageError(`--${name} is a time such as 500ms, 30s or 2m, at most 10m, not '${text}'`)
  return duration
}

function readFile(cwd: string, option: string, path: string): Buffer {
  try {
    return readFileSync(resolve(cwd, path))
  } catch (error) {
    throw new UsageError(`${option}: ${(error as Error).message}`)
  }
}
