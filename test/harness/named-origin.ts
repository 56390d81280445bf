/** An upstream that answers with its name and counts what reaches it. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'

interface Closer {
  after(close: () => void): void
}

export async function startOrigin(t: Closer, name: string) {
  const origin = { name, port: 0, requests: 0 }
  const server = http.createServer((request, response) => {
    origin.requests++
    request.resume()
    // Long enough that requests are under way when something changes.
    setTimeout(() => response.end(name), 2)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  origin.port = (server.address() as AddressInfo).port
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return origin
}
