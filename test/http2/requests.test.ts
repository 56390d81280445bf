/** Requests of HTTP/2 that are not sound, written frame by frame: none of them reaches an upstream (RFC 9113 8.1 to 8.3). */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RunningEngine, startEngine } from '../harness/engine.ts'
import {
  type Fields,
  FrameClient,
  flag,
  frame,
  frameType,
  get,
  headers,
  uint32,
} from '../harness/http2-frames.ts'
import { fieldValue } from '../harness/message-reader.ts'
import { ScriptedUpstream } from '../harness/scripted-upstream.ts'

const upstream = new ScriptedUpstream()
let engine: RunningEngine
let client: FrameClient
let stream = -1

before(async () => {
  await upstream.listen()
  engine = await startEngine({ upstreamPort: upstream.port, policies: [] })
  client = await FrameClient.connect(engine.port)
})
after(async () => {
  client.close()
  engine.close()
  await upstream.close()
})

/** What comes of these fields on a stream of its own; `body` are the frames behind them. */
async function ask(fields: Fields, ...body: ((stream: number) => Buffer)[]) {
  await upstream.reset()
  if (client.isClosed) {
    client = await FrameClient.connect(engine.port)
    stream = -1
  }
  stream += 2
  const id = stream
  client.send(headers(id, fields, body.length === 0 ? flag.endStream : 0), ...body.map((make) => make(id)))
  const isOver = () => {
    const { reset, ended } = client.outcome(id)
    return reset !== undefined || ended
  }
  await client.until(isOver)
  return { ...client.outcome(id), isClosed: client.isClosed }
}

async function arrival(done: () => boolean): Promise<void> {
  for (let n = 0; !done(); n++) {
    assert.ok(n < 500, 'nothing came of it')
    await sleep(10)
  }
}

/** Reset, answered with 4xx or 5xx, or the end of the connection. */
async function assertRefused(fields: Fields, ...body: ((stream: number) => Buffer)[]): Promise<void> {
  const { status, reset, isClosed } = await ask(fields, ...body)
  assert.ok(isClosed || reset !== undefined || (status !== undefined && status >= 400), `status ${status}`)
  assert.deepEqual(
    upstream.requests.filter(({ complete }) => complete).map(({ startLine }) => startLine),
    [],
  )
}

const data =
  (text: string, flags = 0) =>
  (id: number) =>
    frame(frameType.data, flags, id, Buffer.from(text, 'latin1'))
const without = (name: string): Fields => get('/x').filter(([field]) => field !== name)
const instead = (name: string, value: string): Fields =>
  get('/x').map(([field, old]) => [field, field === name ? value : old] as const)
const post = (...more: Fields): Fields => [[':method', 'POST'], ...get('/x', ...more).slice(1)]

suite('requests that are not sound', () => {
  const cases: Record<string, Fields> = {
    'a name in upper case': get('/x', ['X-Upper', '1']),
    'connection: close': get('/x', ['connection', 'close']),
    'connection that nominates a field': get('/x', ['connection', 'x-a'], ['x-a', '1']),
    'keep-alive': get('/x', ['keep-alive', 'timeout=5']),
    'proxy-connection': get('/x', ['proxy-connection', 'keep-alive']),
    'transfer-encoding': get('/x', ['transfer-encoding', 'chunked']),
    'upgrade: h2c': get('/x', ['upgrade', 'h2c']),
    'upgrade: websocket': get('/x', ['upgrade', 'websocket']),
    'te other than trailers': get('/x', ['te', 'gzip']),
    'two paths': get('/x', [':path', '/y']),
    'two methods': [[':method', 'GET'], ...get('/x')],
    'two authorities': [[':authority', 'wire.test'], ...get('/x')],
    'two schemes': [[':scheme', 'http'], ...get('/x')],
    'a pseudo-field that nobody knows': [[':evil', '1'], ...get('/x')],
    'a pseudo-field of answers': [[':status', '200'], ...get('/x')],
    'a pseudo-field behind others': [['x-a', 'b'], ...get('/x')],
    'no method': without(':method'),
    'no path': without(':path'),
    'no scheme': without(':scheme'),
    'no name of a server': without(':authority'),
    'an empty path': instead(':path', ''),
    'a path without a slash': instead(':path', 'x'),
    'an absolute path with a scheme': instead(':path', 'http://other.test/x'),
    'a star for GET': instead(':path', '*'),
    'a space in the path': instead(':path', '/x HTTP/1.1'),
    'a request line in the path': instead(':path', '/x HTTP/1.1\r\nHost: evil\r\n\r\n'),
    'NUL in the path': instead(':path', '/x\0'),
    'a fragment': instead(':path', '/x#y'),
    'a byte beyond ASCII in the path': instead(':path', '/\xff'),
    'an encoded slash': instead(':path', '/a%2fb'),
    'a request line in the method': instead(':method', 'GET /evil HTTP/1.1\r\nX:'),
    'a space in the method': instead(':method', 'GET '),
    'a method that nobody knows': instead(':method', 'FOOBAR'),
    'an empty method': instead(':method', ''),
    'CR LF in the authority': instead(':authority', 'wire.test\r\nx-evil: 1'),
    'a space in the authority': instead(':authority', 'wire test'),
    'a user in the authority': instead(':authority', 'user@wire.test'),
    'an empty authority': instead(':authority', ''),
    'another Host than the authority': get('/x', ['host', 'other.test']),
    'two Hosts': [...without(':authority'), ['host', 'wire.test'], ['host', 'wire.test']],
    'a scheme that is no http': instead(':scheme', 'ftp'),
    TRACE: instead(':method', 'TRACE'),
    'CONNECT to a server': [
      [':method', 'CONNECT'],
      [':authority', 'wire.test:443'],
    ],
    'CONNECT with a path': instead(':method', 'CONNECT'),
    'CONNECT for another protocol': [[':protocol', 'connect-udp'], ...instead(':method', 'CONNECT')],
    'CONNECT for h2c': [[':protocol', 'h2c'], ...instead(':method', 'CONNECT')],
    ':protocol without CONNECT': [[':protocol', 'websocket'], ...get('/x')],
    'a length without a body': get('/x', ['content-length', '5']),
    'a length that is no number': get('/x', ['content-length', '+5']),
    'an Expect that nobody knows': get('/x', ['expect', 'wonders']),
  }
  for (const [name, fields] of Object.entries(cases)) test(name, () => assertRefused(fields))

  test('a body shorter than its length', () =>
    assertRefused(post(['content-length', '5']), data('abc', flag.endStream)))
  test('a body longer than its length', () =>
    assertRefused(post(['content-length', '3']), data('abcde', flag.endStream)))
  test('two lengths', () =>
    assertRefused(post(['content-length', '3'], ['content-length', '3']), data('abc', flag.endStream)))
  test('two lengths that differ', () =>
    assertRefused(post(['content-length', '3'], ['content-length', '4']), data('abc', flag.endStream)))
  test('a trailer section with a pseudo-field', () =>
    assertRefused(post(), data('abc'), (id) => headers(id, [[':path', '/y']])))
  test('a trailer section with upper case', () =>
    assertRefused(post(), data('abc'), (id) => headers(id, [['X-Sum', '1']])))
  test('a trailer section with a length', () =>
    assertRefused(post(), data('abc'), (id) => headers(id, [['content-length', '3']])))
  for (const code of [8, 0]) {
    test(`a body whose stream is reset with ${code} is never complete`, async () => {
      await upstream.reset()
      stream += 2
      const rest = frame(frameType.rstStream, 0, stream, uint32(code))
      client.send(headers(stream, post(), 0), data('abc')(stream))
      await arrival(() => upstream.connections.some(({ receivedBytes }) => receivedBytes > 0))
      client.send(rest)
      await arrival(() => upstream.connections.every(({ closed }) => closed !== null))
      assert.deepEqual(
        upstream.requests.map(({ complete }) => complete),
        [false],
      )
    })
  }
})

suite('fields that cannot be', () => {
  const cases: Record<string, Fields> = {
    'CR LF in a value': get('/x', ['x-a', 'b\r\nx-evil: 1']),
    'CR LF CR LF in a value': get('/x', ['x-a', 'b\r\n\r\nGET /hidden HTTP/1.1\r\nHost: x\r\n\r\n']),
    'LF in a value': get('/x', ['x-a', 'b\nx-evil: 1']),
    'CR in a value': get('/x', ['x-a', 'b\rx-evil: 1']),
    'NUL in a value': get('/x', ['x-a', 'b\0c']),
    'a space before a value': get('/x', ['x-a', ' b']),
    'a space behind a value': get('/x', ['x-a', 'b ']),
    'a tab behind a value': get('/x', ['x-a', 'b\t']),
    'a space in a name': get('/x', ['x a', 'b']),
    'a colon in a name': get('/x', ['x:a', 'b']),
    'CR LF in a name': get('/x', ['x-a: b\r\nx-evil', '1']),
    'an empty name': get('/x', ['', 'b']),
    'CR LF in a cookie': get('/x', ['cookie', 'a=1\r\nx-evil: 1']),
  }
  for (const [name, fields] of Object.entries(cases)) {
    test(`${name}: the field, or the request, goes no further`, async () => {
      const { status } = await ask(fields)
      const arrived = upstream.requests
      assert.equal(arrived.length, status === 200 ? 1 : 0)
      for (const { fields: left, startLine } of arrived) {
        assert.equal(startLine, 'GET /x HTTP/1.1')
        assert.deepEqual(
          left.filter(({ lower }) => /^(x-a|x-evil|x|cookie|)$/.test(lower)),
          [],
        )
      }
    })
  }
})

suite('requests that are sound', () => {
  const arrived = async (fields: Fields, ...body: ((stream: number) => Buffer)[]) => {
    const { status } = await ask(fields, ...body)
    assert.equal(status, 200)
    assert.equal(upstream.requests.length, 1)
    return upstream.requests[0]!
  }

  test('a body without a length is sent in chunks', async () => {
    const request = await arrived(post(), data('abc'), data('', 0), data('de', flag.endStream))
    assert.equal(request.framing, 'chunked')
    assert.equal(request.body.toString(), 'abcde')
  })

  test('a body with a length keeps it', async () => {
    const request = await arrived(post(['content-length', '5']), data('abc'), data('de', flag.endStream))
    assert.equal(request.framing, 'length')
    assert.equal(request.body.toString(), 'abcde')
  })

  test('trailers travel on', async () => {
    const request = await arrived(post(), data('abc'), (id) => headers(id, [['x-sum', '1']]))
    assert.deepEqual(
      request.trailers.map(({ name, value }) => [name, value]),
      [['x-sum', '1']],
    )
  })

  test('crumbs of cookies become one field', async () => {
    const request = await arrived(get('/x', ['cookie', 'a=1'], ['x-a', 'b'], ['cookie', 'c=2']))
    assert.equal(fieldValue(request, 'cookie'), 'a=1; c=2')
  })

  test('Host takes the place of the authority, and may repeat it', async () => {
    const alone = await arrived([...without(':authority'), ['host', 'wire.test']])
    assert.equal(fieldValue(alone, 'host'), 'wire.test')
    const repeated = await arrived(get('/x', ['host', 'Wire.test']))
    assert.equal(repeated.fields.filter(({ lower }) => lower === 'host').length, 1)
  })

  test('te: trailers is allowed and stays here', async () => {
    const request = await arrived(get('/x', ['te', 'trailers']))
    assert.equal(fieldValue(request, 'te'), undefined)
  })

  test('bytes beyond ASCII in a value stay what they are', async () => {
    const request = await arrived(get('/x', ['x-a', 'caf\xe9']))
    assert.equal(fieldValue(request, 'x-a'), 'caf\xe9')
  })

  test('OPTIONS * arrives', async () => {
    await ask([[':method', 'OPTIONS'], ...instead(':path', '*').slice(1)])
    assert.deepEqual(
      upstream.requests.map(({ startLine }) => startLine),
      ['OPTIONS * HTTP/1.1'],
    )
  })
})
