import { once } from 'node:events'
import net from 'node:net'
import { suite, test } from 'node:test'
import tls from 'node:tls'
import { largestHello, readClientHello } from './client-hello.ts'

/** What node:tls sends first. */
async function helloOf(options: tls.ConnectionOptions): Promise<Buffer> {
  const server = net.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[net.Socket]>
  const client = tls.connect({
    host: '127.0.0.1',
    port: (server.address() as net.AddressInfo).port,
    ...options,
  })
  client.on('error', () => {})
  const [socket] = await accepted
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  client.destroy()
  socket.destroy()
  server.close()
  return bytes
}

/** The same message in records of `size` bytes. */
function fragmented(bytes: Buffer, size: number): Buffer {
  const pieces: Buffer[] = []
  for (let at = 5; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size)
    pieces.push(Buffer.from([22, 3, 1, piece.length >> 8, piece.length & 255]), piece)
  }
  return Buffer.concat(pieces)
}

/** A hello with these extensions, each as type and content. */
function made(...extensions: [type: number, content: Buffer][]): Buffer {
  const number = (value: number, size: number) => {
    const bytes = Buffer.alloc(size)
    bytes.writeUIntBE(value, 0, size)
    return bytes
  }
  const vector = (content: Buffer, size: number) => Buffer.concat([number(content.length, size), content])
  const list = vector(
    Buffer.concat(extensions.flatMap(([type, content]) => [number(type, 2), vector(content, 2)])),
    2,
  )
  const fixed = Buffer.concat([Buffer.from([3, 3]), Buffer.alloc(32), Buffer.from([0, 0, 2, 19, 1, 1, 0])])
  const message = Buffer.concat([Buffer.from([1]), vector(Buffer.concat([fixed, list]), 3)])
  return Buffer.concat([Buffer.from([22, 3, 1]), vector(message, 2)])
}

function named(name: string): Buffer {
  const bytes = Buffer.from(name, 'latin1')
  const entry = Buffer.concat([Buffer.from([0, 0, bytes.length]), bytes])
  return Buffer.concat([Buffer.from([0, entry.length]), entry])
}

suite('the first message of a client', () => {
  test('tells the name, in lower case', async (t) => {
    const bytes = await helloOf({ servername: 'API.Example.com' })
    t.assert.deepEqual(readClientHello(bytes), { kind: 'hello', name: 'api.example.com' })
    t.assert.deepEqual(readClientHello(await helloOf({ servername: 'a.test', maxVersion: 'TLSv1.2' })), {
      kind: 'hello',
      name: 'a.test',
    })
  })

  test('may tell none', async (t) => {
    t.assert.deepEqual(readClientHello(await helloOf({})), { kind: 'hello', name: '' })
    t.assert.deepEqual(readClientHello(made()), { kind: 'hello', name: '' })
  })

  test('is awaited to its last byte, however it is cut', async (t) => {
    const bytes = await helloOf({ servername: 'a.test' })
    for (const whole of [bytes, fragmented(bytes, 1), fragmented(bytes, 100)]) {
      for (let length = 0; length < whole.length; length++) {
        const { kind } = readClientHello(whole.subarray(0, length))
        if (kind !== 'incomplete') t.assert.equal(`${kind} after ${length} of ${whole.length}`, 'incomplete')
      }
      t.assert.deepEqual(readClientHello(whole), { kind: 'hello', name: 'a.test' })
    }
  })

  test('is none when it begins like a request', (t) => {
    for (const text of ['GET / HTTP/1.1\r\n', 'PRI * HTTP/2.0', '\r\nGET']) {
      t.assert.equal(readClientHello(Buffer.from(text)).kind, 'plain')
    }
  })

  const refused: [what: string, bytes: Buffer][] = [
    ['SSL 2', Buffer.from([0x80, 0x2e, 1, 3, 1])],
    ['another kind of record', Buffer.from([21, 3, 1, 0, 2, 2, 40])],
    ['another message', Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])],
    ['an empty record', Buffer.from([22, 3, 1, 0, 0])],
    ['a record that is too large', Buffer.from([22, 3, 1, 0x40, 1])],
    ['a message that is too large', Buffer.from([22, 3, 1, 0, 4, 1, 1, 0, 0])],
    ['a name twice', made([0, named('a.test')], [0, named('b.test')])],
    [
      'two names',
      made([0, Buffer.concat([Buffer.from([0, 12]), Buffer.from('\0\0\x03a.t\0\0\x03b.t', 'latin1')])]),
    ],
    ['an empty name', made([0, named('')])],
    ['a name with a NUL', made([0, named('a.test\0.evil')])],
    ['a name with a space', made([0, named('a test')])],
    ['another kind of name', made([0, Buffer.from([0, 4, 1, 0, 1, 97])])],
    ['a name that is cut', made([0, Buffer.from([0, 9, 0, 0, 6, 97])])],
  ]
  for (const [what, bytes] of refused) {
    test(`is refused: ${what}`, (t) => t.assert.equal(readClientHello(bytes).kind, 'invalid'))
  }

  test('has an end', (t) => {
    const endless = fragmented(
      Buffer.concat([Buffer.alloc(5), Buffer.from([1, 0, 0x70, 0]), Buffer.alloc(3)]),
      1,
    )
    t.assert.equal(readClientHello(endless).kind, 'incomplete')
    const more = Buffer.concat([endless, Buffer.from([22, 3, 1, 0, 1, 0])])
    t.assert.equal(
      readClientHello(Buffer.concat([more, Buffer.alloc(largestHello, more.subarray(-6))])).kind,
      'invalid',
    )
  })
})
