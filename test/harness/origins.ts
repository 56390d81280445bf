/** Plain HTTP origins that tell which of them answered, and count what reaches them. */
import http from 'node:http'
import { type Closer, listening } from './listening-server.ts'

export interface Origin {
  port: number
  /** Requests so far. */
  requests: number
}

/** Each answers 200 with its port as body, at once or when `answer` says. They end with the test. */
export function startOrigins(
  t: Closer,
  count: number,
  answer: http.RequestListener = (_, response) => response.end(String(response.socket?.localPort)),
): Promise<Origin[]> {
  return Promise.all(Array.from({ length: count }, () => startCounting(t, answer)))
}

/** It answers with its name, late enough that requests are under way when something changes. */
export function startOrigin(t: Closer, name: string): Promise<Origin> {
  return startCounting(t, (request, response) => {
    request.resume()
    setTimeout(() => response.end(name), 2)
  })
}

async function startCounting(t: Closer, answer: http.RequestListener): Promise<Origin> {
  const origin: Origin = { port: 0, requests: 0 }
  const server = http.createServer((request, response) => {
    origin.requests++
    answer(request, response)
  })
  origin.port = (await listening(t, server)).port
  return origin
}
