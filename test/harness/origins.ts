/** Plain HTTP origins that tell which of them answered. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

export interface Origin {
  port: number
  /** Requests so far. */
  requests: number
}

/** Each answers 200 with its port as body, at once or when `answer` says. They end with the test. */
export async function startOrigins(
  t: TestContext,
  count: number,
  answer: http.RequestListener = (_, response) => response.end(String(response.socket?.localPort)),
): Promise<Origin[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const origin: Origin = { port: 0, requests: 0 }
      const server = http.createServer((request, response) => {
        origin.requests++
        answer(request, response)
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      origin.port = (server.address() as AddressInfo).port
      t.after(() => {
        server.closeAllConnections()
        server.close()
      })
      return origin
    }),
  )
}
