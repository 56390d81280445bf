/** A DNS server on loopback over UDP and TCP: enough of RFC 1035 for questions about A, AAAA, CNAME and SRV records. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import net, { isIPv6 } from 'node:net'

export const servfail = 2
const nxdomain = 3

const types = { A: 1, CNAME: 5, AAAA: 28, SRV: 33 } as const
type RecordType = keyof typeof types

export interface SrvRecord {
  priority: number
  weight: number
  port: number
  target: string
}

/** Records of a name, or how it is answered. */
export interface Entry {
  a?: string[]
  aaaa?: string[]
  cname?: string
  srv?: SrvRecord[]
  /** Seconds. */
  ttl?: number
  /** Response code, for all questions or for some types. */
  code?: number
  failing?: RecordType[]
  /** No answer at all. */
  silent?: boolean
  /** Over UDP only the header, which says that there is more. */
  truncated?: boolean
}

/** Names that are not there do not exist. May be changed at any time. */
export type Zone = Record<string, Entry>

interface Closer {
  after(close: () => void): void
}

export async function startDnsServer(t: Closer, zone: Zone) {
  const asked: string[] = []
  const arrivals = new EventTarget()
  const answer = (query: Buffer, transport: 'udp' | 'tcp') => {
    const reply = answerTo(query, zone, transport, asked)
    arrivals.dispatchEvent(new Event('question'))
    return reply
  }
  const { udp, tcp } = await listenOnBoth()
  udp.on('message', (query, peer) => {
    const reply = answer(query, 'udp')
    if (reply !== undefined) udp.send(reply, peer.port, peer.address)
  })
  const connections = new Set<net.Socket>()
  tcp.on('connection', (socket) => {
    connections.add(socket)
    socket.on('close', () => connections.delete(socket))
    socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      const reply = answer(bytes.subarray(2), 'tcp')
      if (reply !== undefined) socket.write(Buffer.concat([twoBytes(reply.length), reply]))
    })
  })
  const close = () => {
    udp.close()
    tcp.close()
    for (const socket of connections) socket.destroy()
  }
  let open = true
  const stop = () => {
    if (open) close()
    open = false
  }
  t.after(stop)
  return {
    address: `127.0.0.1:${udp.address().port}`,
    /** As `name TYPE`, with ` over tcp` behind those that came that way. */
    asked,
    /** Resolves when the server has been asked that many times in all. */
    async questions(count: number) {
      while (asked.length < count) await once(arrivals, 'question')
    },
    stop,
  }
}

/** The same port for both. */
async function listenOnBoth(): Promise<{ udp: Socket; tcp: net.Server }> {
  for (;;) {
    const tcp = net.createServer().listen(0, '127.0.0.1')
    await once(tcp, 'listening')
    const udp = createSocket('udp4')
    udp.bind((tcp.address() as net.AddressInfo).port, '127.0.0.1')
    try {
      await once(udp, 'listening')
      return { udp, tcp }
    } catch {
      udp.close()
      tcp.close()
    }
  }
}

function answerTo(query: Buffer, zone: Zone, transport: 'udp' | 'tcp', asked: string[]): Buffer | undefined {
  const { name, end, type } = readQuestion(query)
  asked.push(`${name} ${type}${transport === 'tcp' ? ' over tcp' : ''}`)
  const entry = zone[name] ?? { code: nxdomain }
  if (entry.silent) return undefined
  const question = query.subarray(12, end)
  const truncated = transport === 'udp' && entry.truncated === true
  const code = entry.failing?.includes(type) ? servfail : (entry.code ?? 0)
  const records = code !== 0 || truncated ? [] : recordsOf(entry, type)
  const head = Buffer.from(query.subarray(0, 12))
  head.writeUInt16BE((truncated ? 0x8380 : 0x8180) | code, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(records.length, 6)
  head.writeUInt32BE(0, 8)
  return Buffer.concat([head, question, ...records])
}

function readQuestion(query: Buffer): { name: string; end: number; type: RecordType } {
  const labels: string[] = []
  let at = 12
  for (; query[at] !== 0; at += query[at]! + 1) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!))
  }
  const number = query.readUInt16BE(at + 1)
  const type = (Object.keys(types) as RecordType[]).find((name) => types[name] === number) ?? 'A'
  return { name: labels.join('.').toLowerCase(), end: at + 5, type }
}

function recordsOf(entry: Entry, type: RecordType): Buffer[] {
  const record = (data: Buffer) => {
    const head = Buffer.alloc(10)
    head.writeUInt16BE(types[type], 0)
    head.writeUInt16BE(1, 2)
    head.writeUInt32BE(entry.ttl ?? 0, 4)
    head.writeUInt16BE(data.length, 8)
    // The name is that of the question.
    return Buffer.concat([twoBytes(0xc00c), head, data])
  }
  switch (type) {
    case 'A':
      return (entry.a ?? []).map((address) => record(Buffer.from(address.split('.').map(Number))))
    case 'AAAA':
      return (entry.aaaa ?? []).map((address) => record(sixteenBytes(address)))
    case 'CNAME':
      return entry.cname === undefined ? [] : [record(encodeName(entry.cname))]
    case 'SRV':
      return (entry.srv ?? []).map(({ priority, weight, port, target }) =>
        record(Buffer.concat([twoBytes(priority), twoBytes(weight), twoBytes(port), encodeName(target)])),
      )
  }
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '')
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]),
    Buffer.from([0]),
  ])
}

function twoBytes(number: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(number)
  return bytes
}

function sixteenBytes(address: string): Buffer {
  if (!isIPv6(address)) throw new Error(`${address} is no IPv6 address`)
  const [left = '', right = ''] = address.split('::')
  const groups = (text: string) =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
  const before = groups(left)
  const after = groups(right)
  const middle = new Array<number>(8 - before.length - after.length).fill(0)
  return Buffer.concat([...before, ...middle, ...after].map(twoBytes))
}
