import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

interface Copy {
  request: http.IncomingMessage
  body: string
}

/** A server that gets copies; `next` waits for one. */
async function mirror(t: TestContext): Promise<{ host: string; next(): Promise<Copy> }> {
  const server = http.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    host: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async next() {
      const [request, response] = (await once(server, 'request')) as [
        http.IncomingMessage,
        http.ServerResponse,
      ]
      let body = ''
      for await (const piece of request) body += piece
      response.end('nobody reads this')
      return { request, body }
    },
  }
}

test('a copy has method, target, fields and body of the request', async (t) => {
  const { host, next } = await mirror(t)
  const { run } = bindPolicy(policy, { config: { host } })
  const copied = next()
  const headers = { 'X-One': '1', host: 'api.example' }
  await run({ method: 'POST', target: '/a%20b?c=d', headers, body: 'hello' })
  const { request, body } = await copied
  assert.deepEqual([request.method, request.url, body], ['POST', '/a%20b?c=d', 'hello'])
  assert.deepEqual([request.headers['x-one'], request.headers.host], ['1', 'api.example'])
})

test('a path in place of that of the request, or before it', async (t) => {
  const { host, next } = await mirror(t)
  const target = async (config: object) => {
    const copied = next()
    await bindPolicy(policy, { config: { host, ...config } }).run({ target: '/a?b=c' })
    return (await copied).request.url
  }
  assert.equal(await target({ path: '/m' }), '/m?b=c')
  assert.equal(await target({ path: '/m', path_concat_mode: 'prefix' }), '/m/a?b=c')
})

test('a mirror that is not there is nobody’s problem', async () => {
  const { run } = bindPolicy(policy, { config: { host: 'http://127.0.0.1:1' } })
  assert.equal((await run({ method: 'POST', body: 'x' })).answer.status, 200)
})

suite('the configuration', () => {
  const host = 'http://127.0.0.1:1'
  const refused: [object, RegExp][] = [
    [{}, /host/],
    [{ host: '127.0.0.1:1' }, /host/],
    [{ host: 'http://127.0.0.1:1/path' }, /host/],
    [{ host: 'grpc://127.0.0.1:1' }, /gRPC/],
    [{ host, path: 'x' }, /path/],
    [{ host, path: '/a?b' }, /path/],
    [{ host, path_concat_mode: 'x' }, /path_concat_mode/],
    [{ host, sample_ratio: 0 }, /sample_ratio/],
    [{ host, sample_ratio: 2 }, /sample_ratio/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () =>
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding),
    )
  }
})
