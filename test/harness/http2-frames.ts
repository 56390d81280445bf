/** An HTTP/2 client that writes frame by frame, so that it can write what no library would (RFC 9113 4 to 6, RFC 7541). */
import { once } from 'node:events'
import net from 'node:net'

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const flag = { endStream: 0x1, ack: 0x1, endHeaders: 0x4 } as const

export interface Frame {
  type: number
  flags: number
  stream: number
  payload: Buffer
}

export type Fields = readonly (readonly [string, string])[]

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export const uint32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, index * 4)
  return bytes
}

/** Literals that no table keeps, byte for byte: RFC 7541 6.2.2. */
export function block(fields: Fields): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]))
}

/** Without Huffman coding: RFC 7541 5.2. */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  const length: number[] = []
  if (bytes.length < 127) length.push(bytes.length)
  else {
    length.push(127)
    let rest = bytes.length - 127
    for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128)
    length.push(rest)
  }
  return Buffer.concat([Buffer.from(length), bytes])
}

export const headers = (stream: number, fields: Fields, flags: number = flag.endStream): Buffer =>
  frame(frameType.headers, flags | flag.endHeaders, stream, block(fields))

export const get = (path: string, ...more: Fields): Fields => [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'wire.test'],
  ...more,
]

const headerTableSize = 1
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export class FrameClient {
  readonly frames: Frame[] = []
  isClosed = false
  private readonly socket: net.Socket
  private pending: Buffer = Buffer.alloc(0)
  private wake = () => {}

  private constructor(socket: net.Socket) {
    this.socket = socket
    socket.on('data', (bytes: Buffer) => this.read(bytes))
    socket.on('error', () => {})
    socket.on('end', () => this.ended())
    socket.on('close', () => this.ended())
  }

  /** Connected, with the preface and these settings sent: pairs of identifier and value. The server is to use no table. */
  static async connect(
    port: number,
    settings: readonly (readonly [number, number])[] = [],
  ): Promise<FrameClient> {
    const socket = net.connect(port, '127.0.0.1')
    const client = new FrameClient(socket)
    await once(socket, 'connect')
    const payload = Buffer.concat(
      [[headerTableSize, 0] as const, ...settings].map(([id, value]) =>
        Buffer.concat([Buffer.of(id >> 8, id & 255), uint32(value)]),
      ),
    )
    client.send(preface, frame(frameType.settings, 0, 0, payload))
    await client.until(() => client.frames.some(({ type }) => type === frameType.settings))
    client.send(frame(frameType.settings, flag.ack, 0))
    return client
  }

  /** Connected, with the preface and these frames sent in one write, whatever the server says. */
  static async begin(port: number, ...frames: Buffer[]): Promise<FrameClient> {
    const socket = net.connect(port, '127.0.0.1')
    const client = new FrameClient(socket)
    await once(socket, 'connect')
    client.send(preface, frame(frameType.settings, 0, 0), ...frames)
    return client
  }

  send(...frames: Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames))
  }

  /** Sends again and again until the server ends the connection. @returns false when it took all of it */
  async flood(bytes: Buffer, times: number): Promise<boolean> {
    for (let n = 0; n < times && !this.isClosed; n++) {
      if (!this.socket.write(bytes)) {
        await Promise.race([once(this.socket, 'drain'), once(this.socket, 'close')]).catch(() => {})
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    // A short flood is sent before anybody hears that the connection was ended at its beginning.
    await this.until(() => false).catch(() => {})
    return this.isClosed
  }

  /** Nothing more is read, so that answers pile up. */
  stopReading(): void {
    this.socket.pause()
  }

  /** Resolves when `done` holds or the connection is over. @throws after 5 s */
  async until(done: () => boolean): Promise<void> {
    const deadline = Date.now() + 5000
    while (!done() && !this.isClosed) {
      if (Date.now() > deadline) throw new Error(`nothing came of it: ${this.describe()}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 50)
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  of(stream: number): Frame[] {
    return this.frames.filter((frame) => frame.stream === stream)
  }

  /** What became of a stream: a status, `reset` with its code, or nothing yet. */
  outcome(stream: number): { status?: number; reset?: number; ended: boolean } {
    const frames = this.of(stream)
    const answer = frames.find(({ type }) => type === frameType.headers)
    const reset = frames.find(({ type }) => type === frameType.rstStream)
    return {
      ...(answer !== undefined && { status: statusOf(answer.payload) }),
      ...(reset !== undefined && { reset: reset.payload.readUInt32BE(0) }),
      ended: frames.some(
        ({ type, flags }) =>
          (type === frameType.data || type === frameType.headers) && (flags & flag.endStream) !== 0,
      ),
    }
  }

  /** Code of the last GOAWAY; undefined: there was none. */
  get goaway(): number | undefined {
    return this.frames.findLast(({ type }) => type === frameType.goaway)?.payload.readUInt32BE(4)
  }

  close(): void {
    this.socket.destroy()
  }

  describe(): string {
    return this.frames.map(({ type, flags, stream }) => `${type}/${flags}@${stream}`).join(' ')
  }

  private ended(): void {
    this.isClosed = true
    this.wake()
  }

  private read(bytes: Buffer): void {
    this.pending = this.pending.length === 0 ? bytes : Buffer.concat([this.pending, bytes])
    while (this.pending.length >= 9) {
      const length = this.pending.readUIntBE(0, 3)
      if (this.pending.length < 9 + length) break
      this.frames.push({
        type: this.pending[3]!,
        flags: this.pending[4]!,
        stream: this.pending.readUInt32BE(5) & 0x7fffffff,
        payload: Buffer.from(this.pending.subarray(9, 9 + length)),
      })
      this.pending = this.pending.subarray(9 + length)
    }
    this.wake()
  }
}

/** Statuses that stand in the static table (RFC 7541 A), or their three digits. */
function statusOf(payload: Buffer): number {
  const known: Record<number, number> = { 8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500 }
  // The table has lost its size (RFC 7541 6.3).
  let at = 0
  while ((payload[at]! & 0xe0) === 0x20) at++
  const first = payload[at]!
  if ((first & 0x80) !== 0) return known[first & 0x7f] ?? 0
  // A literal whose name is in the table, its value plain or in Huffman's code, in which digits have five or six bits.
  const isCoded = (payload[at + 1]! & 0x80) !== 0
  const value = payload.subarray(at + 2, at + 2 + (payload[at + 1]! & 0x7f))
  return isCoded ? huffmanDigits(value) : Number(value.toString('latin1'))
}

/** RFC 7541 B: 0, 1 and 2 have five bits, the other digits six. */
function huffmanDigits(bytes: Buffer): number {
  let bits = ''
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0')
  let digits = ''
  while (digits.length < 3) {
    const five = Number.parseInt(bits.slice(0, 5), 2)
    if (five <= 2) {
      digits += five
      bits = bits.slice(5)
    } else {
      digits += Number.parseInt(bits.slice(0, 6), 2) - 0x19 + 3
      bits = bits.slice(6)
    }
  }
  return Number(digits)
}
