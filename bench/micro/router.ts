/**
 * The router beside find-my-way: time to load a table, heap that it holds, cost of a match (also with so many other
 * routes in between that nothing is in the processor's caches) and of changing one route.
 * Run: node --expose-gc bench/micro/router.ts
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import FindMyWay from 'find-my-way'
import { Router } from '../../src/proxy/router/router.ts'

interface Table {
  add(host: string, path: string, n: number): void
  find(host: string, path: string): boolean
  remove(host: string, path: string, n: number): void
}

const tables: Record<string, () => Table> = {
  sluice() {
    const router = new Router<number>('radixtree_host_uri', () => undefined)
    return {
      add: (host, path, n) =>
        router.put(
          {
            id: String(n),
            uris: [path],
            hosts: host === '' ? [] : [host],
            methods: ['GET', 'POST'],
            priority: 0,
          },
          n,
        ),
      find: (host, path) => router.match(host, path, 'GET', undefined) !== null,
      remove: (_host, _path, n) => router.remove(String(n)),
    }
  },
  /** One router for each host, because its host constraint takes 31 hosts (decision record D5). */
  'find-my-way'() {
    const routers = new Map<string, ReturnType<typeof FindMyWay>>()
    const handler = () => {}
    return {
      add(host, path, n) {
        let router = routers.get(host)
        if (router === undefined) {
          router = FindMyWay()
          routers.set(host, router)
        }
        router.on(['GET', 'POST'], path, handler, n)
      },
      find: (host, path) => routers.get(host)?.find('GET', path) != null,
      remove: (host, path) => routers.get(host)?.off(['GET', 'POST'], path),
    }
  },
}

interface Shape {
  host(n: number): string
  pattern(n: number): string
  path(n: number): string
}

const shapes: Record<string, Shape> = {
  prefix: { host: () => '', pattern: (n) => `/r${n}/*`, path: (n) => `/r${n}/users/42` },
  exact: { host: () => '', pattern: (n) => `/v1/orders/r${n}`, path: (n) => `/v1/orders/r${n}` },
  hosts: {
    host: (n) => `api${n % 1000}.example.com`,
    pattern: (n) => `/r${n}/*`,
    path: (n) => `/r${n}/users/42`,
  },
}

const COUNTS = [10, 1000, 100_000]
const LOOKUPS = 1_000_000
const DISTINCT = 1 << 15

const [tableName, shapeName, count] = process.argv.slice(2)
if (tableName === undefined) {
  console.log('shape   table         routes  load ms  heap MiB  match ns  change ms')
  for (const shape of Object.keys(shapes)) {
    for (const table of Object.keys(tables)) {
      for (const routes of COUNTS) {
        const script = fileURLToPath(import.meta.url)
        const { status } = spawnSync(
          process.execPath,
          ['--expose-gc', script, table, shape, String(routes)],
          {
            stdio: 'inherit',
          },
        )
        if (status !== 0) process.exit(1)
      }
    }
  }
} else {
  measure(tableName, shapeName!, Number(count))
}

function measure(tableName: string, shapeName: string, count: number): void {
  const shape = shapes[shapeName]!
  const before = heap()
  const table = tables[tableName]!()
  const loading = cpu()
  for (let n = 0; n < count; n++) table.add(shape.host(n), shape.pattern(n), n)
  const load = cpu() - loading
  const held = (heap() - before) / 2 ** 20

  const requests = requestHeads(shape, count)
  const cost = Math.min(...[1, 2, 3, 4].map(() => lookups(table, requests)))

  const changing = performance.now()
  table.remove(shape.host(1), shape.pattern(1), 1)
  table.add(shape.host(1), shape.pattern(1), 1)
  const change = performance.now() - changing

  const figures = [load.toFixed(0).padStart(8), held.toFixed(1).padStart(9), cost.toFixed(0).padStart(9)]
  const name = `${shapeName.padEnd(7)} ${tableName.padEnd(11)} ${String(count).padStart(7)}`
  console.log(`${name} ${figures.join(' ')} ${change.toFixed(2).padStart(10)}`)
}

/** Paths cut out of heads, as a head parser does it. */
function requestHeads(shape: Shape, count: number): { host: string; path: string }[] {
  return Array.from({ length: DISTINCT }, (_, i) => {
    const n = (i * 7919) % count
    const head = Buffer.from(`GET ${shape.path(n)} HTTP/1.1\r\nHost: ${shape.host(n)}\r\n`).toString('latin1')
    return { host: shape.host(n), path: head.slice(4, head.indexOf(' ', 4)) }
  })
}

/** Nanoseconds a match. */
function lookups(table: Table, requests: readonly { host: string; path: string }[]): number {
  const start = cpu()
  let found = 0
  for (let i = 0; i < LOOKUPS; i++) {
    const request = requests[i % DISTINCT]!
    if (table.find(request.host, request.path)) found++
  }
  if (found !== LOOKUPS) throw new Error(`${LOOKUPS - found} lookups found nothing`)
  return ((cpu() - start) * 1e6) / LOOKUPS
}

/** Milliseconds of this thread, so that what else the machine does counts less. */
function cpu(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

function heap(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
