import { get } from 'node:http'
import { parseArgs } from 'node:util'
import { durationPattern, parseDuration } from '../config/units.ts'
import { type CliIo, type Command, CommandError, exitCode, UsageError } from './command.ts'
import { Reading } from './top/reading.ts'
import { screen } from './top/screen.ts'

const defaultUrl = 'http://127.0.0.1:9091'
const timeoutMs = 10_000
/** Far more than a gateway with thousands of routes has to say. */
const mostBytes = 64 * 1024 * 1024

export const command: Command = {
  name: 'top',
  summary: 'Watch a running gateway: requests, latencies and errors by route, upstreams, limits',
  usage: 'sluice top [--gateway URL] [--interval TIME] [--once]',
  options: [
    { flags: '--gateway URL', text: `Its metrics port (default: SLUICE_METRICS_URL, then ${defaultUrl})` },
    { flags: '--interval TIME', text: 'Between two looks (default: 2s)' },
    { flags: '--once', text: 'One look, and the end; the default where standard output is no terminal' },
  ],
  examples: ['sluice top', 'sluice top --once --interval 10s'],

  async run(argv, io) {
    const { values } = parseArgs({
      args: argv,
      options: {
        gateway: { type: 'string' },
        interval: { type: 'string', default: '2s' },
        once: { type: 'boolean', default: false },
      },
    })
    const url = metricsUrl(values.gateway ?? io.env.SLUICE_METRICS_URL ?? defaultUrl)
    const interrupted = new AbortController()
    const interrupt = () => interrupted.abort()
    process.once('SIGINT', interrupt)
    try {
      await watch(url, intervalOf(values.interval), values.once || !io.isTTY, io, interrupted.signal)
    } finally {
      process.off('SIGINT', interrupt)
    }
    return exitCode.ok
  },
}

const clearScreen = '\x1b[H\x1b[2J'

async function watch(url: URL, ms: number, once: boolean, io: CliIo, ended: AbortSignal): Promise<void> {
  let before = new Reading(await read(url))
  let at = performance.now()
  for (;;) {
    await pause(ms, ended)
    if (ended.aborted) return
    const now = new Reading(await read(url))
    const text = screen(before, now, (performance.now() - at) / 1000)
    io.stdout.write(once ? text : `${clearScreen}${url.origin}  ${new Date().toISOString()}\n\n${text}`)
    if (once) return
    before = now
    at = performance.now()
  }
}

function pause(ms: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    ended.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

function intervalOf(text: string): number {
  const ms = durationPattern.test(text) ? parseDuration(text) : 0
  if (ms < 100) throw new UsageError(`--interval is a time of 100ms or more, not '${text}'`)
  return ms
}

function metricsUrl(text: string): URL {
  const url = URL.parse(text)
  if (url?.protocol !== 'http:') throw new UsageError(`'${text}' is not the http:// URL of a metrics port`)
  return url
}

/** @throws CommandError when it cannot be reached or answers anything else */
function read(url: URL): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const fail = (reason: string) => reject(new CommandError(`${url.origin}: ${reason}`))
  const sent = get(new URL('/metrics', url), { agent: false, timeout: timeoutMs }, (response) => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => {
      text += chunk
      if (text.length > mostBytes) sent.destroy(new Error(`more than ${mostBytes} bytes of metrics`))
    })
    response.on('error', (error) => fail(error.message))
    response.on('end', () => {
      if (response.statusCode === 200) resolve(text)
      else fail(`GET /metrics: ${response.statusCode}`)
    })
  })
  sent.on('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)))
  sent.on('error', (error) => fail(error.message))
  return promise
}
