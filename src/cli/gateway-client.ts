/** Asks a running gateway at its control port. */
import { request } from 'node:http'
import { CommandError, UsageError } from './command.ts'

const timeoutMs = 30_000

/** `http://127.0.0.1:9090`, without a path. @throws UsageError */
export function gatewayUrl(text: string): URL {
  const url = URL.parse(text)
  if (url?.protocol !== 'http:') throw new UsageError(`'${text}' is not the http:// URL of a control port`)
  return url
}

/**
 * The JSON that an endpoint answers with 200.
 * @throws CommandError when it cannot be reached or answers anything else
 */
export function askGateway(
  gateway: URL,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const fail = (reason: string) => reject(new CommandError(`${gateway.origin}: ${reason}`))
  const url = new URL(path, gateway)
  const sent = request(url, { method, agent: false, timeout: timeoutMs }, (response) => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (chunk) => {
      text += chunk
    })
    response.on('error', (error) => fail(error.message))
    response.on('end', () => {
      const answer = parsed(text)
      if (response.statusCode === 200 && answer !== undefined) resolve(answer)
      else fail(`${method} ${path}: ${response.statusCode} ${reasonIn(answer) ?? text.trim().slice(0, 200)}`)
    })
  })
  sent.on('timeout', () => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)))
  sent.on('error', (error) => fail(error.message))
  sent.setHeader('Content-Type', 'application/json')
  sent.end(body && JSON.stringify(body))
  return promise
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function reasonIn(answer: unknown): string | undefined {
  const reason = (answer as { error_msg?: unknown } | undefined | null)?.error_msg
  return typeof reason === 'string' ? reason : undefined
}
