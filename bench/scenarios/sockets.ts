import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench, Scenario } from '../bench.ts'
import { type Gateway, startGateway } from '../gateway.ts'
import { sluice } from '../opponents/sluice.ts'
import { residentBytes } from '../process-tree.ts'
import type { Section } from '../section.ts'
import type { Site } from '../site.ts'
import { forwarding } from '../work.ts'

const wanted = 10_000
const mustKiB = 20
/** Files that this process and the gateway need beside those connections. */
const otherFiles = 500
const handshake =
  'GET /socket HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
const accepted =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

export const sockets: Scenario = {
  name: 'sockets',
  summary:
    '10 000 idle WebSockets through the gateway, each with its connection to the upstream: what is resident more than before for each of them. As many as the limits of the process allow where that is less.',
  run,
}

async function run(bench: Bench): Promise<Section> {
  const empty = (notes: string[]) => ({ ...head, rows: [], notes, data: null })
  if (!bench.opponents.includes(sluice)) return empty(['sluice took no part'])
  const opened: Socket[] = []
  const upstream = await openUpstream()
  bench.progress('sockets: starting sluice')
  const site: Site = { ...bench.site, upstreamPort: upstream.port }
  const gateway = await startGateway(site, sluice, { ...forwarding, webSockets: true })
  try {
    const count = Math.min(wanted, Math.floor((openFiles() - otherFiles) / 2))
    const warm = Math.min(500, count >> 2)
    await open(gateway, warm, opened)
    await sleep(2000)
    const before = residentBytes(gateway.pid)
    bench.progress(`sockets: opening ${count}`)
    await open(gateway, count, opened)
    await sleep(3000)
    const each = (residentBytes(gateway.pid) - before) / (count - warm) / 1024
    const verdict = each <= mustKiB ? 'met' : 'MISSED'
    return {
      ...head,
      rows: [[String(count), each.toFixed(1), ((each * wanted) / 1024).toFixed(0)]],
      notes: [
        `sluice: must stay within ${mustKiB} KiB each, ${verdict}`,
        ...(count < wanted
          ? [
              `${count} and not ${wanted}: a process may have ${openFiles()} files open here, and each takes two`,
            ]
          : []),
      ],
      data: { count, each },
    }
  } finally {
    for (const socket of opened) socket.destroy()
    await gateway.stop()
    upstream.close()
  }
}

const head = {
  name: sockets.name,
  summary: sockets.summary,
  columns: ['WebSockets', 'KiB each', 'MiB for 10 000'],
}

/** Opens WebSockets until there are so many, a few at a time. */
async function open(gateway: Gateway, count: number, opened: Socket[]): Promise<void> {
  while (opened.length < count) {
    const some = Math.min(100, count - opened.length)
    opened.push(...(await Promise.all(Array.from({ length: some }, () => openOne(gateway.port)))))
  }
}

function openOne(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('the gateway closed a WebSocket')))
    socket.once('data', (bytes) => {
      if (bytes.toString('latin1', 9, 12) === '101') resolve(socket)
      else reject(new Error(`no WebSocket but ${bytes.toString('latin1').split('\r\n')[0]}`))
    })
    socket.write(handshake)
  })
}

/** Switches protocols for whoever asks, and says nothing more. */
async function openUpstream(): Promise<{ port: number; close(): void }> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      const text = bytes.toString('latin1')
      if (text.includes('Sec-WebSocket-Key')) socket.write(accepted)
      else socket.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n')
    })
  })
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve))
  return { port: (server.address() as { port: number }).port, close: () => void server.close() }
}

/** How many files a process may have open: this one and the gateway alike (getrlimit(2)). */
function openFiles(): number {
  const found = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))
  return found === null ? 1024 : Number(found[1])
}
