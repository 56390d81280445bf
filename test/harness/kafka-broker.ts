/**
 * A broker that speaks as much of Kafka's protocol as producers of version 0.11 need: it tells of its topic, keeps what is
 * produced, and can ask for credentials. It reads with nothing of the gateway's own.
 */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'

export interface KeptMessage {
  partition: number
  key: string | null
  value: string
  time: number
  acks: number
}

export interface KafkaBrokerOptions {
  topic: string
  partitions?: number
  user?: string
  password?: string
  tls?: { key: string; cert: string }
}

export interface KafkaBroker {
  readonly port: number
  readonly messages: KeptMessage[]
  /** Connections that there were. */
  connections: number
  /** Number of an error that produced messages are answered with; 0: none. */
  error: number
  /** How often it was. */
  refusals: number
  /** It takes requests and answers none. */
  silent: boolean
  until(holds: () => boolean): Promise<void>
  close(): void
}

export async function startKafkaBroker(options: KafkaBrokerOptions): Promise<KafkaBroker> {
  const { topic, partitions = 1 } = options
  const waiting: (() => void)[] = []
  const changed = () => {
    for (const wake of waiting.splice(0)) wake()
  }
  const sockets = new Set<Socket>()
  const server: Server = options.tls === undefined ? createServer(serve) : createTlsServer(options.tls, serve)
  const broker: KafkaBroker = {
    port: 0,
    messages: [],
    connections: 0,
    error: 0,
    refusals: 0,
    silent: false,
    async until(holds) {
      while (!holds()) {
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
    },
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }

  function serve(socket: Socket): void {
    broker.connections++
    sockets.add(socket)
    socket.on('error', () => {})
    const login = new Login(options)
    let received = Buffer.alloc(0)
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes])
      while (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) {
        const request = received.subarray(4, 4 + received.readInt32BE(0))
        received = received.subarray(4 + request.length)
        if (broker.silent) continue
        const answer = answerOf(request, login)
        if (answer === null) {
          socket.destroy()
          return
        }
        socket.write(Buffer.concat([int32(answer.length + 4), request.subarray(4, 8), answer]))
        changed()
      }
    })
  }

  /** Null: the connection ends. */
  function answerOf(request: Buffer, login: Login): Buffer | null {
    const body = request.subarray(10 + request.readInt16BE(8))
    const api = `${request.readInt16BE(0)}.${request.readInt16BE(2)}`
    if (api === '17.1') return login.shake(body)
    if (api === '36.0') return login.say(body.subarray(4))
    if (!login.isDone) return null
    if (api === '3.4') return topology(body)
    if (api === '0.3') return produce(body)
    return null
  }

  function topology(body: Buffer): Buffer {
    const asked = body.subarray(6, 6 + body.readInt16BE(4)).toString()
    const error = asked === topic ? 0 : 3
    const parts = Array.from({ length: error === 0 ? partitions : 0 }, (_, index) =>
      Buffer.concat([int16(0), int32(index), int32(7), int32(1), int32(7), int32(1), int32(7)]),
    )
    return Buffer.concat([
      int32(0),
      int32(1),
      int32(7),
      text('127.0.0.1'),
      int32(broker.port),
      int16(-1),
      text('cluster'),
      int32(7),
      int32(1),
      int16(error),
      text(asked),
      Buffer.from([0]),
      int32(parts.length),
      ...parts,
    ])
  }

  function produce(body: Buffer): Buffer {
    const acks = body.readInt16BE(2)
    const nameEnd = 14 + body.readInt16BE(12)
    const partition = body.readInt32BE(nameEnd + 4)
    if (broker.error !== 0) broker.refusals++
    else {
      const batch = body.subarray(nameEnd + 12)
      broker.messages.push(...readBatch(batch).map((message) => ({ ...message, partition, acks })))
    }
    return Buffer.concat([
      int32(1),
      text(topic),
      int32(1),
      int32(partition),
      int16(broker.error),
      Buffer.alloc(16),
      int32(0),
    ])
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(broker, { port: (server.address() as AddressInfo).port })
}

class Login {
  isDone: boolean
  readonly #options: KafkaBrokerOptions
  #mechanism = ''
  #challenge: { first: string; text: string } | undefined

  constructor(options: KafkaBrokerOptions) {
    this.#options = options
    this.isDone = options.user === undefined
  }

  shake(body: Buffer): Buffer {
    this.#mechanism = body.subarray(2).toString()
    return Buffer.concat([int16(0), int32(1), text(this.#mechanism)])
  }

  say(message: Buffer): Buffer {
    const { user, password } = this.#options
    if (this.#mechanism === 'PLAIN')
      return this.#answer(message.toString() === `\0${user}\0${password}` ? '' : null)
    if (this.#challenge === undefined) {
      const first = message.toString().slice(3)
      const nonce = `${/r=(.*)$/.exec(first)![1]}server`
      this.#challenge = { first, text: `r=${nonce},s=${Buffer.from('salt').toString('base64')},i=4096` }
      return this.#told(this.#challenge.text)
    }
    const said = message.toString()
    const [withoutProof = '', proof = ''] = said.split(',p=')
    const hash = this.#mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512'
    const salted = pbkdf2Sync(password!, 'salt', 4096, hash === 'sha256' ? 32 : 64, hash)
    const signed = `${this.#challenge.first},${this.#challenge.text},${withoutProof}`
    const mac = (key: Buffer, of: string) => createHmac(hash, key).update(of).digest()
    const stored = createHash(hash).update(mac(salted, 'Client Key')).digest()
    const signature = mac(stored, signed)
    const key = Buffer.from(proof, 'base64').map((byte, index) => byte ^ signature[index]!)
    const isRight = createHash(hash).update(key).digest().equals(stored)
    return this.#answer(isRight ? `v=${mac(mac(salted, 'Server Key'), signed).toString('base64')}` : null)
  }

  /** Null: the credentials are wrong. */
  #answer(said: string | null): Buffer {
    if (said === null) return Buffer.concat([int16(58), text('authentication failed'), int32(0)])
    this.isDone = true
    return this.#told(said)
  }

  #told(said: string): Buffer {
    return Buffer.concat([int16(0), int16(-1), int32(said.length), Buffer.from(said)])
  }
}

/** Messages of a record batch of version 2, whose checksum has to fit. */
function readBatch(batch: Buffer): Pick<KeptMessage, 'key' | 'value' | 'time'>[] {
  if (batch.readInt8(16) !== 2) throw new Error('no record batch of version 2')
  if (batch.readInt32BE(8) !== batch.length - 12) throw new Error('a batch of another length')
  if (castagnoli(batch.subarray(21)) !== batch.readUInt32BE(17)) throw new Error('a wrong checksum')
  const base = Number(batch.readBigInt64BE(27))
  let at = 61
  const varint = () => {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = batch[at++]!
      value += (byte & 127) * shift
      if (byte < 128) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    }
  }
  const taken = (length: number) => {
    at += length
    return batch.subarray(at - length, at).toString()
  }
  return Array.from({ length: batch.readInt32BE(57) }, () => {
    const end = varint() + at
    at++
    const time = base + varint()
    varint()
    const keyLength = varint()
    const key = keyLength < 0 ? null : taken(keyLength)
    const value = taken(varint())
    at = end
    return { key, value, time }
  })
}

/** Bit by bit. */
function castagnoli(bytes: Buffer): number {
  let value = 0xffffffff
  for (const byte of bytes) {
    value ^= byte
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0x82f63b78 : 0)
  }
  return ~value >>> 0
}

function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2)
  buffer.writeInt16BE(value)
  return buffer
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32BE(value)
  return buffer
}

function text(value: string): Buffer {
  return Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)])
}
