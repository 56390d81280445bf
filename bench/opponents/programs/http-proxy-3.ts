import { Agent, createServer } from 'node:http'
import { createProxyServer } from 'http-proxy-3'
import { port, upstream } from './assignment.ts'
import { chain } from './chain.ts'

const proxy = createProxyServer({ target: upstream, agent: new Agent({ keepAlive: true, maxSockets: 256 }) })
proxy.on('error', (_error, _request, response) => response.destroy())

const policies = chain()
const server = createServer((request, response) => {
  if (policies === null || policies.admit(request, response)) proxy.web(request, response)
})
server.keepAliveTimeout = 3_600_000
server.listen(port, '127.0.0.1', 4096)
