/** Bodies that a policy reads, and replaces, before the request goes on. */
import assert from 'node:assert/strict'
import http from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { Readable } from 'node:stream'
import { after, before, beforeEach, suite, test } from 'node:test'
import { request } from 'undici'
import type { ExchangeRequest } from '../../src/proxy/exchange.ts'
import { type RunningEngine, startEngine } from '../harness/engine.ts'

let upstream: http.Server
let engine: RunningEngine
let url: string
/** What the policy does with a request. */
let act: (request: ExchangeRequest) => Promise<{ status: number; body: string } | undefined>
let received: { headers: http.IncomingHttpHeaders; body: string }[]

before(async () => {
  upstream = http.createServer(async (incoming, response) => {
    const pieces: Buffer[] = []
    for await (const piece of incoming) pieces.push(piece as Buffer)
    received.push({ headers: incoming.headers, body: Buffer.concat(pieces).toString('latin1') })
    response.end('ok')
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  engine = await startEngine({
    settings: 'limits: { body: 4MiB }\n  timeouts: { body_idle: 200ms }',
    upstreamPort: (upstream.address() as AddressInfo).port,
    policies: [{ request: (exchange) => act(exchange.request) }],
  })
  url = `http://127.0.0.1:${engine.port}/`
})
after(() => {
  engine.close()
  upstream.close()
  upstream.closeAllConnections()
})
beforeEach(() => {
  received = []
})

async function post(body: Buffer | string, chunked = false): Promise<number> {
  const pieces: (Buffer | string)[] = []
  for (let i = 0; i < body.length; i += 50_000) pieces.push(body.slice(i, i + 50_000))
  const response = await request(url, { method: 'POST', body: chunked ? Readable.from(pieces) : body })
  await response.body.dump()
  return response.statusCode
}

const large = Buffer.alloc(1_000_000, 'abcdefghij')

suite('a body that a policy reads', () => {
  for (const chunked of [false, true]) {
    for (const body of [Buffer.from('hello'), large]) {
      test(`of ${body.length} bytes, ${chunked ? 'chunked' : 'with its length'}, goes on as it came`, async () => {
        let read: string | null = ''
        act = async (request) => {
          read = await request.readBody(4_000_000)
          return undefined
        }
        assert.equal(await post(body, chunked), 200)
        assert.equal(read, body.toString('latin1'))
        assert.equal(received[0]!.body, body.toString('latin1'))
        assert.equal(received[0]!.headers['transfer-encoding'], chunked ? 'chunked' : undefined)
      })

      test(`of ${body.length} bytes, ${chunked ? 'chunked' : 'with its length'}, can be replaced`, async () => {
        act = async (request) => {
          request.setBody(`${(await request.readBody(4_000_000))!.length} bytes`)
          return undefined
        }
        assert.equal(await post(body, chunked), 200)
        const text = `${body.length} bytes`
        assert.equal(received[0]!.body, text)
        assert.equal(received[0]!.headers['content-length'], String(text.length))
        assert.equal(received[0]!.headers['transfer-encoding'], undefined)
      })
    }

    test(`that is too large for it, ${chunked ? 'chunked' : 'with its length'}, still goes on whole`, async () => {
      let read: string | null = ''
      act = async (request) => {
        read = await request.readBody(1000)
        return undefined
      }
      assert.equal(await post(large, chunked), 200)
      assert.equal(read, null)
      assert.equal(received[0]!.body.length, large.length)
    })
  }

  test('that was not sent is empty, and one may be made', async () => {
    act = async (request) => {
      assert.equal(await request.readBody(10), '')
      request.setBody('made')
      return undefined
    }
    const response = await request(url)
    assert.equal(await response.body.text(), 'ok')
    assert.equal(received[0]!.body, 'made')
  })

  test('is asked for where the client waits for leave to send it', async () => {
    act = async (request) => {
      assert.equal(await request.readBody(10), 'abc')
      return undefined
    }
    const socket = connect(engine.port, '127.0.0.1')
    socket.write(
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n',
    )
    let answer = ''
    socket.setEncoding('latin1').on('data', (piece) => {
      if (answer === '') socket.write('abc')
      answer += piece
    })
    await new Promise((resolve) => socket.on('end', resolve))
    assert.match(answer, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
    assert.equal(received[0]!.body, 'abc')
    assert.equal(received[0]!.headers.expect, undefined)
  })

  test('does not reach the upstream when the policy answers', async () => {
    act = async (request) => {
      await request.readBody(4_000_000)
      return { status: 403, body: 'no' }
    }
    assert.equal(await post(large), 403)
    assert.deepEqual(received, [])
  })

  test('that never comes is 408, and the client that leaves is forgotten', async () => {
    act = async (request) => {
      await request.readBody(100)
      return undefined
    }
    const slow = connect(engine.port, '127.0.0.1')
    slow.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc')
    const answer = await new Promise<string>((resolve) =>
      slow.setEncoding('latin1').once('data', (piece) => resolve(String(piece))),
    )
    assert.match(answer, /^HTTP\/1\.1 408 /)
    slow.destroy()
    const gone = connect(engine.port, '127.0.0.1')
    gone.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc')
    await new Promise((resolve) => setTimeout(resolve, 20))
    gone.destroy()
    act = async () => undefined
    assert.equal(await post('fine'), 200)
    assert.deepEqual(
      received.map(({ body }) => body),
      ['fine'],
    )
  })

  test('must have been read before it is replaced', async () => {
    act = async (request) => {
      request.setBody('x')
      return undefined
    }
    assert.equal(await post('abc'), 500)
    assert.deepEqual(received, [])
  })
})
