/** Several requests in one, through the wire: what each of them is to the gateway and to the upstream. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { suite, test } from 'node:test'
import { policyGateway } from '../harness/policy-gateway.ts'

const held: http.ServerResponse[] = []

const gateway = policyGateway(
  () => `
gateway:
  trusted_addresses: [127.0.0.1]
consumers:
  - { username: jack, plugins: { key-auth: { key: auth-one } } }
routes:
  - { id: batch, uri: /apisix/batch-requests, plugins: { public-api: {} } }
  - { id: own, uri: /own, upstream_id: u }
  - { id: other, uri: /own, host: other.example, upstream_id: u, plugins: { response-rewrite: { body: other } } }
  - { id: slow, uri: /slow, upstream_id: u }
  - { id: chunks, uri: /chunks, upstream_id: u }
  - { id: key, uri: /key, upstream_id: u, plugins: { key-auth: {} } }
  - { id: local, uri: /local, upstream_id: u, plugins: { ip-restriction: { whitelist: [127.0.0.1] } } }
  - { id: real, uri: /real, upstream_id: u, plugins: { real-ip: { source: http_x_mine, trusted_addresses: [127.0.0.1, 203.0.113.9] } } }
  - { id: limited, uri: /limited, upstream_id: u, plugins: { limit-count: { count: 2, time_window: 60, key: remote_addr, rejected_code: 429 } } }
`,
  ({ target }, response) => {
    if (target === '/slow') held.push(response)
    if (target === '/chunks') {
      response.write('one ')
      response.end('two')
    }
    return target === '/slow' || target === '/chunks'
  },
)

interface Entry {
  status: number
  reason: string
  headers: Record<string, string>
  body: string
}

async function batch(body: object, headers: Record<string, string> = {}): Promise<Entry[]> {
  const answer = http.request({
    port: gateway.port,
    host: '127.0.0.1',
    method: 'POST',
    path: '/apisix/batch-requests',
    headers: { host: 'api.example', 'content-type': 'application/json', ...headers },
  })
  answer.end(JSON.stringify(body))
  const [response] = (await once(answer, 'response')) as [http.IncomingMessage]
  const pieces: Buffer[] = []
  for await (const piece of response) pieces.push(piece as Buffer)
  const text = Buffer.concat(pieces).toString()
  assert.equal(response.statusCode, 200, text)
  assert.equal(response.headers['content-type'], 'application/json')
  return JSON.parse(text)
}

const seen = ({ body }: Entry) =>
  JSON.parse(body) as { method: string; target: string; headers: Record<string, string>; body: string }

suite('each request of a batch', () => {
  test('is routed and answered in its turn', async () => {
    const [first, second, third, missing] = await batch({
      headers: { 'X-All': 'a' },
      pipeline: [
        { path: '/own', method: 'POST', body: 'hällo', query: { a: 'b' } },
        { path: '/own', headers: { Host: 'other.example' } },
        { path: '/chunks', version: 1.0 },
        { path: '/nowhere' },
      ],
    })
    assert.deepEqual([first!.status, first!.reason], [200, 'OK'])
    const { method, target, headers, body } = seen(first!)
    assert.deepEqual(
      [method, target, headers['x-all'], headers.host, body],
      ['POST', '/own?a=b', 'a', 'api.example', 'hällo'],
    )
    assert.equal(headers['content-length'], '6')
    assert.equal(second!.body, 'other')
    assert.equal(third!.body, 'one two')
    assert.equal(missing!.status, 404)
  })

  test('has the address of the client, whatever anybody says', async () => {
    const lies = {
      'X-Real-IP': '127.0.0.1',
      'X-Forwarded-For': '127.0.0.1',
      'X-Mine': '127.0.0.1',
      'X-Consumer-Username': 'jack',
    }
    const [own, local, real] = await batch(
      {
        headers: lies,
        pipeline: [{ path: '/own', headers: lies }, { path: '/local', headers: lies }, { path: '/real' }],
      },
      { 'X-Forwarded-For': '203.0.113.9' },
    )
    const { headers } = seen(own!)
    assert.deepEqual(
      [headers['x-real-ip'], headers['x-forwarded-for'], headers['x-consumer-username']],
      ['203.0.113.9', '203.0.113.9', undefined],
    )
    assert.equal(local!.status, 403)
    assert.equal(seen(real!).headers['x-real-ip'], '203.0.113.9')
    assert.equal(gateway.received.filter(({ target }) => target === '/local').length, 0)
  })

  test('says who is calling like any other', async () => {
    const [without, own] = await batch({
      pipeline: [{ path: '/key' }, { path: '/key', headers: { apikey: 'auth-one' } }],
    })
    assert.deepEqual([without!.status, own!.status], [401, 200])
    assert.equal(seen(own!).headers['x-consumer-username'], 'jack')
    assert.equal((await batch({ pipeline: [{ path: '/key' }] }, { apikey: 'auth-one' }))[0]!.status, 200)
  })

  test('counts', async () => {
    const entries = await batch({ pipeline: Array.from({ length: 4 }, () => ({ path: '/limited' })) })
    assert.deepEqual(
      entries.map(({ status }) => status),
      [200, 200, 429, 429],
    )
  })

  test('is no batch', async () => {
    const inner = JSON.stringify({ pipeline: [{ path: '/own' }] })
    const before = gateway.received.length
    const [entry] = await batch({
      pipeline: [{ path: '/apisix/batch-requests', method: 'POST', body: inner }],
    })
    assert.deepEqual([entry!.status, gateway.received.length], [400, before])
  })

  test('makes no tunnel', async () => {
    const [connect, upgrade] = await batch({
      pipeline: [
        { path: 'u:80', method: 'CONNECT' },
        { path: '/own', headers: { Connection: 'Upgrade', Upgrade: 'websocket' } },
      ],
    })
    assert.deepEqual([connect!.status, upgrade!.status], [405, 200])
    assert.equal(seen(upgrade!).headers.upgrade, undefined)
  })

  test('has its time, and then the others are not sent', async () => {
    const before = gateway.received.length
    const entries = await batch({ timeout: 1, pipeline: [{ path: '/slow' }, { path: '/own' }] })
    const late = { status: 504, reason: 'upstream timeout' }
    assert.deepEqual([entries, gateway.received.length], [[late, late], before + 1])
  })
})

test('with the client the request under way goes too, and none comes after it', async () => {
  const begun = held.length
  const before = gateway.received.length
  const request = http.request({
    port: gateway.port,
    host: '127.0.0.1',
    method: 'POST',
    path: '/apisix/batch-requests',
  })
  request.on('error', () => {})
  request.end(JSON.stringify({ pipeline: [{ path: '/slow' }, { path: '/own' }] }))
  while (held.length === begun) await new Promise((resolve) => setTimeout(resolve, 5))
  const upstreamSide = held.at(-1)!
  request.socket!.resetAndDestroy()
  await once(upstreamSide, 'close')
  assert.equal(upstreamSide.writableFinished, false)
  assert.equal((await batch({ pipeline: [{ path: '/chunks' }] }))[0]!.body, 'one two')
  assert.equal(gateway.received.length, before + 2)
})
