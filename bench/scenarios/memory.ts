import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench, Scenario } from '../bench.ts'
import { startGateway } from '../gateway.ts'
import type { Opponent } from '../opponents/opponent.ts'
import { residentBytes } from '../process-tree.ts'
import type { Section } from '../section.ts'
import { mebibyte, type Site } from '../site.ts'
import { sendTraffic, smallGets } from '../traffic.ts'
import { forwarding } from '../work.ts'

const size = 1024 * mebibyte
/** Bytes per second that the slow side takes, after a first second in which it takes nothing. */
const pace = 200 * mebibyte
const mustMiB = 32

export const memory: Scenario = {
  name: 'memory',
  summary:
    'One transfer of 1 GiB whose reader takes nothing for a second and then 200 MiB/s: how far the gateway’s resident memory rises above what it had after ordinary traffic.',
  run,
}

interface Growth {
  gateway: string
  /** Bytes; absent: not measured, or failed. */
  download?: number
  upload?: number
}

async function run(bench: Bench): Promise<Section> {
  const brief = bench.options.quick && bench.options.opponents.length === 0
  const contenders = bench.opponents.filter(({ name }) => !brief || name === 'sluice')
  const growths: Growth[] = []
  const notes: string[] = []
  for (const opponent of contenders) {
    const growth: Growth = { gateway: opponent.name }
    for (const [direction, transfer] of [
      ['download', downloadThrough],
      ['upload', uploadThrough],
    ] as const) {
      // nginx takes in a whole request before it forwards it, and writes it to disk: another kind of bound.
      if (direction === 'upload' && (opponent.name === 'nginx' || brief)) continue
      bench.progress(`memory: ${direction} through ${opponent.name}`)
      try {
        growth[direction] = await transfer(bench.site, opponent)
      } catch (error) {
        notes.push(`${opponent.name}, ${direction}: ${(error as Error).message}`)
      }
    }
    growths.push(growth)
  }
  return {
    name: memory.name,
    summary: memory.summary,
    columns: ['gateway', 'download, MiB', 'upload, MiB'],
    rows: growths.map(({ gateway, download, upload }) => [gateway, mebibytes(download), mebibytes(upload)]),
    notes: [...judge(growths), ...notes],
    data: growths,
  }
}

/** The client reads slowly. */
async function downloadThrough(site: Site, opponent: Opponent): Promise<number> {
  return growthDuring(site, opponent, async (port) => {
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /files/object-1g.bin HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n')
    const received = await readSlowly(socket)
    if (received < size) throw new Error(`only ${mebibytes(received)} MiB of 1024 arrived`)
  })
}

/** The upstream reads slowly. */
async function uploadThrough(site: Site, opponent: Opponent): Promise<number> {
  const sink = await openSink()
  try {
    return await growthDuring({ ...site, upstreamPort: sink.port }, opponent, (port) => upload(port))
  } finally {
    sink.server.close()
  }
}

/** Highest resident size during a transfer less that before it. */
async function growthDuring(
  site: Site,
  opponent: Opponent,
  transfer: (port: number) => Promise<void>,
): Promise<number> {
  const gateway = await startGateway(site, opponent, forwarding)
  try {
    await sendTraffic(site, gateway.port, smallGets, forwarding, 1)
    await sleep(500)
    const before = residentBytes(gateway.pid)
    let highest = before
    const look = () => {
      highest = Math.max(highest, residentBytes(gateway.pid))
    }
    const watch = setInterval(look, 50)
    try {
      await transfer(gateway.port)
      look()
    } finally {
      clearInterval(watch)
    }
    return highest - before
  } finally {
    await gateway.stop()
  }
}

/** Takes what a socket sends at the set pace until it ends; gives the number of bytes. */
async function readSlowly(socket: Socket): Promise<number> {
  const began = performance.now() + 1_000
  socket.pause()
  await sleep(1_000)
  let received = 0
  for await (const chunk of socket) {
    received += (chunk as Buffer).length
    const ahead = (received / pace) * 1_000 - (performance.now() - began)
    if (ahead > 10) await sleep(ahead)
  }
  return received
}

/** Writes as fast as the gateway takes it; resolves when it was answered with 200. */
function upload(port: number): Promise<void> {
  const piece = Buffer.alloc(256 * 1024)
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let left = size
    const write = () => {
      while (left > 0) {
        left -= piece.length
        if (!socket.write(piece)) return
      }
    }
    socket.write(`PUT /upload HTTP/1.1\r\nHost: bench\r\nContent-Length: ${size}\r\n\r\n`)
    socket.on('drain', write)
    socket.once('error', reject)
    socket.once('data', (head) => {
      socket.destroy()
      if (head.toString('latin1', 9, 12) === '200') resolve()
      else reject(new Error(`the upload was answered with: ${head.toString('latin1').split('\r\n')[0]}`))
    })
    socket.once('close', () => reject(new Error('the gateway broke off the upload')))
    write()
  })
}

/** An upstream that answers small requests at once and reads the body of a PUT slowly. */
async function openSink(): Promise<{ server: Server; port: number }> {
  const server = createServer(serveSink)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, port: (server.address() as { port: number }).port }
}

function serveSink(socket: Socket): void {
  let body = 0
  let received = 0
  let began = 0
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    if (body === 0 && chunk.toString('latin1', 0, 4) !== 'PUT ') {
      for (const _ of chunk.toString('latin1').matchAll(/\r\n\r\n/g)) socket.write(emptyAnswer)
      return
    }
    if (body === 0) {
      body = chunk.indexOf('\r\n\r\n') + 4 + size
      began = performance.now() + 1_000
    }
    received += chunk.length
    if (received >= body) socket.end(emptyAnswer)
    const ahead = (received / pace) * 1_000 - (performance.now() - began)
    if (ahead > 10) {
      socket.pause()
      setTimeout(() => socket.resume(), ahead)
    }
  })
}

const emptyAnswer = 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'

function judge(growths: readonly Growth[]): string[] {
  const own = growths.find(({ gateway }) => gateway === 'sluice')
  if (own?.download === undefined) return []
  const met = Math.max(own.download, own.upload ?? 0) < mustMiB * mebibyte
  return [`sluice: must stay below ${mustMiB} MiB, ${met ? 'met' : 'MISSED'}`]
}

function mebibytes(bytes: number | undefined): string {
  return bytes === undefined ? '-' : (bytes / mebibyte).toFixed(1)
}
