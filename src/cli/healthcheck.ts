import { get } from 'node:http'
import { parseArgs } from 'node:util'
import { type Command, exitCode, UsageError } from './command.ts'

const defaultUrl = 'http://127.0.0.1:9091/readyz'
const timeoutMs = 3000

export const command: Command = {
  name: 'healthcheck',
  summary: 'Ask a gateway whether it takes traffic; for containers and scripts',
  usage: 'sluice healthcheck [--url URL]',
  options: [{ flags: '--url URL', text: `What to ask (default: SLUICE_HEALTH_URL, then ${defaultUrl})` }],
  examples: ['sluice healthcheck', 'sluice healthcheck --url http://127.0.0.1:9091/livez'],

  async run(argv, io) {
    const { values } = parseArgs({ args: argv, options: { url: { type: 'string' } } })
    const url = values.url ?? io.env.SLUICE_HEALTH_URL ?? defaultUrl
    if (!URL.canParse(url) || new URL(url).protocol !== 'http:') {
      throw new UsageError(`'${url}' is not an http:// URL`)
    }
    const { healthy, text } = await ask(url)
    const sink = healthy ? io.stdout : io.stderr
    sink.write(`${text}\n`)
    return healthy ? exitCode.ok : exitCode.failure
  },
}

/** Never rejects: what goes wrong is the answer. */
function ask(url: string): Promise<{ healthy: boolean; text: string }> {
  return new Promise((resolve) => {
    const fail = (reason: string) => resolve({ healthy: false, text: `${url}: ${reason}` })
    const request = get(url, { agent: false, timeout: timeoutMs }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        body += chunk
      })
      response.on('error', (error) => fail(error.message))
      response.on('end', () => {
        if (response.statusCode === 200) resolve({ healthy: true, text: body.trim() })
        else fail(`${response.statusCode} ${body.trim()}`)
      })
    })
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)))
    request.on('error', (error) => fail(error.message))
  })
}
