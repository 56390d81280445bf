import { runLoad } from './bench/load.ts'
import { options, readOptions } from './bench/options.ts'
import { jsonReport, progressLine, textReport } from './bench/report.ts'
import type { Tally } from './bench/tally.ts'
import { type CliIo, type Command, exitCode } from './command.ts'

/** A load test of one's own gateway: bounded, and only towards the URL given. */
export const command: Command = {
  name: 'bench',
  summary: 'Load-test a URL: throughput, statuses and latencies',
  usage: 'sluice bench URL [-c N] [-d TIME] [-r N] [OPTIONS]',
  options,
  examples: [
    'sluice bench http://127.0.0.1:9080/users -d 5s',
    'sluice bench http://127.0.0.1:9080/users --rate 500 --header "apikey: key-of-alice"',
    'sluice bench http://127.0.0.1:9080/users --mix clients.jsonl --format json',
  ],

  async run(argv, io) {
    const asked = readOptions(argv, io.cwd)
    const interrupted = new AbortController()
    const interrupt = () => interrupted.abort()
    process.once('SIGINT', interrupt)
    const { tally, done } = runLoad(asked.plan, interrupted.signal)
    const hide = io.isTTY && asked.format === 'text' ? showProgress(tally, io) : undefined
    const result = await done.finally(() => {
      process.off('SIGINT', interrupt)
      hide?.()
    })

    io.stdout.write(
      asked.format === 'json' ? `${JSON.stringify(jsonReport(asked, result))}\n` : textReport(asked, result),
    )
    return result.tally.successes > 0 ? exitCode.ok : exitCode.failure
  },
}

/** Keeps one line of the terminal up to date; gives the function that clears it. */
function showProgress(tally: Tally, io: CliIo): () => void {
  const clearLine = '\r\x1b[K'
  const began = performance.now()
  const timer = setInterval(() => {
    io.stderr.write(clearLine + progressLine(tally, performance.now() - began))
  }, 500)
  return () => {
    clearInterval(timer)
    io.stderr.write(clearLine)
  }
}
