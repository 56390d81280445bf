/** A server that speaks HTTP/2 frame by frame, so that it can also say what no library would. */
import net, { type AddressInfo } from 'node:net'

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

export const frameType = { data: 0, headers: 1, reset: 3, settings: 4, push: 5, goaway: 7 } as const
export const flag = { endStream: 1, endHeaders: 4 } as const

export class FrameConnection {
  readonly socket: net.Socket
  /** Of the streams that were opened, in order. */
  readonly streams: number[] = []
  /** What came for streams: types and flags, in order. */
  readonly frames: { type: number; flags: number }[] = []

  constructor(socket: net.Socket) {
    this.socket = socket
  }

  send(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): void {
    const head = Buffer.alloc(9)
    head.writeUIntBE(payload.length, 0, 3)
    head.writeUInt8(type, 3)
    head.writeUInt8(flags, 4)
    head.writeUInt32BE(stream, 5)
    this.socket.write(Buffer.concat([head, payload]))
  }

  /** @param settings identifiers and values */
  settings(settings: readonly (readonly [id: number, value: number])[] = []): void {
    const payload = Buffer.alloc(settings.length * 6)
    settings.forEach(([id, value], index) => {
      payload.writeUInt16BE(id, index * 6)
      payload.writeUInt32BE(value, index * 6 + 2)
    })
    this.send(frameType.settings, 0, 0, payload)
  }

  /** A head with fields that are not compressed. */
  head(stream: number, fields: readonly (readonly [name: string, value: string])[], flags = 0): void {
    const block = fields.map(([name, value]) =>
      Buffer.concat([Buffer.from([0]), literal(name), literal(value)]),
    )
    this.send(frameType.headers, flag.endHeaders | flags, stream, Buffer.concat(block))
  }

  reset(stream: number, code: number): void {
    this.send(frameType.reset, 0, stream, uint32(code))
  }

  goaway(last: number, code = 0): void {
    this.send(frameType.goaway, 0, 0, Buffer.concat([uint32(last), uint32(code)]))
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Up to 126 bytes, as they are. */
function literal(text: string): Buffer {
  return Buffer.concat([Buffer.from([text.length]), Buffer.from(text, 'latin1')])
}

export interface FrameServer {
  readonly port: number
  readonly connections: FrameConnection[]
}

export interface FrameScript {
  /** Absent: it sends empty SETTINGS. */
  onConnect?(connection: FrameConnection): void
  /** A stream was opened; its content may still be on its way. */
  onStream?(connection: FrameConnection, stream: number): void
  /** Anything came for a stream. */
  onFrame?(connection: FrameConnection, type: number): void
}

/** Ends with the test. */
export function startFrameServer(
  t: { after(end: () => void): void },
  script: FrameScript,
): Promise<FrameServer> {
  const connections: FrameConnection[] = []
  const server = net.createServer((socket) => {
    const connection = new FrameConnection(socket)
    connections.push(connection)
    let buffered: Buffer = Buffer.alloc(0)
    let begun = false
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      buffered = Buffer.concat([buffered, bytes])
      if (!begun) {
        if (buffered.length < preface.length) return
        begun = true
        buffered = buffered.subarray(preface.length)
        if (script.onConnect === undefined) connection.settings()
        else script.onConnect(connection)
      }
      while (buffered.length >= 9) {
        const length = buffered.readUIntBE(0, 3)
        if (buffered.length < 9 + length) return
        const [type, flags, stream] = [buffered[3], buffered[4]!, buffered.readUInt32BE(5)]
        buffered = buffered.subarray(9 + length)
        if (type === frameType.settings && (flags & 1) === 0) connection.send(frameType.settings, 1, 0)
        if (stream !== 0) {
          connection.frames.push({ type: type!, flags })
          script.onFrame?.(connection, type!)
        }
        if (type !== frameType.headers) continue
        connection.streams.push(stream)
        script.onStream?.(connection, stream)
      }
    })
  })
  t.after(() => {
    server.close()
    for (const { socket } of connections) socket.destroy()
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () =>
      resolve({ port: (server.address() as AddressInfo).port, connections }),
    )
  })
}
