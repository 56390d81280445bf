import httpProxy from '@fastify/http-proxy'
import fastify from 'fastify'
import { port, upstream } from './assignment.ts'
import { chain } from './chain.ts'

const server = fastify({ logger: false, keepAliveTimeout: 3_600_000, bodyLimit: 2 ** 40 })
const policies = chain()
await server.register(httpProxy, {
  upstream,
  disableRequestLogging: true,
  replyOptions: { rewriteHeaders: withoutConnection },
  undici: { connections: 256, pipelining: 1 },
  ...(policies && {
    preHandler(request, reply, done) {
      if (policies.admit(request.raw, reply.raw)) done()
      else reply.hijack()
    },
  }),
})
await server.listen({ port, host: '127.0.0.1', backlog: 4096 })

/** Left alone, it promises `keep-alive` in the upstream's words and closes all the same. */
function withoutConnection<T extends NodeJS.Dict<unknown>>(headers: T): T {
  const { connection: _, 'keep-alive': __, ...rest } = headers
  return rest as T
}
