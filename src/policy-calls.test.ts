import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { CallError } from './policies/kit/calls.ts'
import { PolicyCalls } from './policy-calls.ts'

const counted: string[] = []
const metrics = {
  counter: () => ({
    slot: ([policy, outcome]: readonly string[]) => counted.push(`${policy} ${outcome}`) - 1,
    add() {},
  }),
  histogram: () => ({ slot: () => 0, observe() {} }),
}
const binding = { policy: 'p', routeId: 'r', serviceId: 's', owner: 'route:r' }
const calls = new PolicyCalls(metrics as never)
let server: http.Server
let url: string
let connections = 0

before(async () => {
  server = http.createServer((request, response) => {
    switch (request.url) {
      case '/large':
        response.end('x'.repeat(1001))
        break
      case '/stall':
        response.write('a')
        break
      case '/moved':
        response.writeHead(302, { location: '/large' }).end('moved')
        break
      default:
        request.pipe(response.setHeader('X-Method', request.method!))
    }
  })
  server.on('connection', () => connections++)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
after(() => {
  server.closeAllConnections()
  server.close()
})

test('an answer has its status, its fields and its body; a connection serves several calls', async () => {
  const client = calls.open(binding, { timeout: 5000 })
  const answer = await client.call({ method: 'POST', url: `${url}/echo`, body: 'ä' })
  assert.deepEqual([answer.status, answer.headers['x-method'], answer.body.toString()], [200, 'POST', 'ä'])
  // The connection is free once its parser has seen the end of the answer.
  await setImmediate()
  const before = connections
  await calls.open(binding, { timeout: 5000 }).call({ method: 'GET', url })
  assert.equal(connections, before)
})

test('no redirect is followed', async () => {
  const { status, body } = await calls
    .open(binding, { timeout: 5000 })
    .call({ method: 'GET', url: `${url}/moved` })
  assert.deepEqual([status, body.toString()], [302, 'moved'])
})

test('what is too large, too slow or not there is an error that says so', async () => {
  const failure = async (path: string, options: { timeout: number; largestAnswer?: number }) => {
    const failed = await calls
      .open(binding, options)
      .call({ method: 'GET', url: path })
      .then(
        () => undefined,
        (error: CallError) => error.failure,
      )
    return failed
  }
  assert.equal(await failure(`${url}/large`, { timeout: 5000, largestAnswer: 1000 }), 'too_large')
  assert.equal(await failure(`${url}/stall`, { timeout: 50 }), 'timeout')
  assert.equal(await failure('http://127.0.0.1:1/', { timeout: 5000 }), 'unreachable')
  assert.deepEqual(
    ['answered', 'too_large', 'timeout', 'unreachable'].filter(
      (outcome) => !counted.includes(`p ${outcome}`),
    ),
    [],
  )
})

test('calls go through the proxy that is named for their scheme, but for hosts that are excepted', async (t) => {
  const asked: string[] = []
  const note = ({ method, url: target, headers }: http.IncomingMessage) =>
    asked.push(`${method} ${target} ${headers['proxy-authorization']}`)
  const proxy = http.createServer((request, response) => {
    note(request)
    response.end('by the proxy')
  })
  proxy.on('connect', (request, socket) => {
    note(request)
    socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  const proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const proxies = {
    http: { url: proxyUrl, authorization: 'Basic YTpi' },
    https: { url: proxyUrl, authorization: 'Basic Yzpk' },
    except: 'other.example, .0.0.1',
  }
  const get = (url: string, options = proxies) =>
    calls.open(binding, { timeout: 5000, proxies: options }).call({ method: 'GET', url })

  const answer = await get('http://op.invalid/a?b')
  assert.equal(answer.body.toString(), 'by the proxy')
  await assert.rejects(get('https://op.invalid/a'), { failure: 'unreachable' })
  assert.deepEqual(asked, ['GET http://op.invalid/a?b Basic YTpi', 'CONNECT op.invalid:443 Basic Yzpk'])
  // The server of these tests, which excepted hosts are asked at.
  assert.equal((await get(`${url}/moved`)).body.toString(), 'moved')
  assert.equal((await get(`${url}/moved`, { ...proxies, except: '*' })).body.toString(), 'moved')
  assert.equal((await get(`${url}/moved`, { ...proxies, except: '' })).body.toString(), 'by the proxy')
})
