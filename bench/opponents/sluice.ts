import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ClientApplication, clientApplications } from '../clients.ts'
import { certificateName } from '../site.ts'
import { routeHost, routePattern, type Work } from '../work.ts'
import type { Assignment, Opponent } from './opponent.ts'

const main = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url))
const start = fileURLToPath(new URL('../../src/cli/start.ts', import.meta.url))

/** The gateway of this repository, started as its users start it. */
export const sluice: Opponent = {
  name: 'sluice',
  missing: () => (existsSync(start) ? undefined : 'sluice has no src/cli/start.ts yet'),
  does: () => true,
  accessLog,

  prepare(assignment) {
    const { folder, work } = assignment
    const configuration = join(folder, 'configuration')
    mkdirSync(configuration)
    writeJson(join(configuration, 'gateway.json'), { gateway: settings(assignment) })
    writeJson(join(configuration, 'resources.json'), resources(assignment))
    if (!work.tcp) writeFileSync(routesFile(folder), routesText(work))
    return [process.execPath, ...assignment.site.nodeArguments, main, 'start', '-c', configuration]
  },
}

function accessLog(folder: string): string {
  return join(folder, 'access.log')
}

/** Where the routes of a gateway are written, so that a scenario can change them. */
export function routesFile(folder: string): string {
  return join(folder, 'configuration', 'routes.json')
}

/** One route a line. `renamed` is the index of a route that gets another path: the one change of a reload. */
export function routesText({ routes, hosts, failing, webSockets }: Work, renamed = -1): string {
  const lines = Array.from({ length: routes }, (_, index) => {
    const uri = routes === 1 ? '/*' : index === renamed ? renamedPath : routePattern(index)
    const host = routeHost(index, hosts)
    const route = {
      uri,
      ...(host !== undefined && { host }),
      service_id: 'orders',
      ...(webSockets && { enable_websocket: true }),
    }
    const others = Array.from({ length: failing }, (_, n) => ({
      id: `route-${index}-${n}`,
      ...route,
      priority: n + 1,
      vars: [failingConditions[n % failingConditions.length]],
    }))
    return [...others, { id: `route-${index}`, ...route }].map((one) => JSON.stringify(one)).join(',\n')
  })
  return `{"routes":[\n${lines.join(',\n')}\n]}\n`
}

/** On what a request of the bench has, and on what it has not. */
const failingConditions = [
  ['arg_cursor', '==', 'none'],
  ['http_user_agent', '~~', '^(?:mobile|tablet)-client/[0-9.]+$'],
  ['cookie_channel', 'in', ['beta', 'nightly']],
]

export const renamedPath = '/renamed-by-the-reload'

function settings({ port, workers, work }: Assignment): object {
  return {
    listeners: [
      { name: 'traffic', host: '127.0.0.1', port, protocol: work.tcp ? 'tcp' : work.tls ? 'https' : 'http' },
    ],
    // Load generators name no server when they connect to an address.
    ...(work.tls && { tls: { fallback_sni: certificateName } }),
    workers,
    limits: { requests_per_connection: 10_000_000 },
    timeouts: { keepalive: '60m' },
    control: { enabled: false },
    metrics: { port: 0 },
    log: { level: 'warn' },
  }
}

function resources({ site, folder, work }: Assignment): object {
  const { certFile, keyFile } = site.certificate
  return {
    ...(work.tls && {
      ssls: [{ id: 'bench', sni: certificateName, cert: textOf(certFile), key: textOf(keyFile) }],
    }),
    upstreams: [
      {
        id: 'upstream',
        ...(work.tcp && { scheme: 'tcp' }),
        nodes: { [`127.0.0.1:${site.upstreamPort}`]: 1 },
        keepalive_pool: { size: 256, requests: 10_000_000 },
      },
    ],
    ...(work.tcp && { stream_routes: [{ id: 'orders', upstream_id: 'upstream' }] }),
    ...(!work.tcp && {
      services: [{ id: 'orders', upstream_id: 'upstream', plugins: plugins(work, folder) }],
    }),
    ...(work.chain !== 'none' && { consumers: clientApplications.map((it) => consumer(it, work.chain)) }),
    ...(work.chain === 'client-id' && {
      contracts: clientApplications.map(({ id }) => ({
        id,
        consumer: id,
        service_id: 'orders',
        tier: 'gold',
      })),
    }),
  }
}

/** Limits that are counted and never reached. */
const plenty = 100_000_000

function plugins(work: Work, folder: string): object {
  const everyday = { cors: {}, prometheus: {} }
  const log = work.accessLog && {
    'message-logging': { sink: { type: 'file', path: accessLog(folder) } },
  }
  switch (work.chain) {
    case 'none':
      return { ...log }
    case 'client-id':
      return {
        'client-id-enforcement': {
          credentialsOriginHasHttpBasicAuthenticationHeader: 'httpBasicAuthenticationHeader',
        },
        'sla-rate-limiting': {
          tiers: [{ name: 'gold', limits: [{ maximumRequests: plenty, timePeriodInMilliseconds: 60_000 }] }],
        },
        ...everyday,
        ...log,
      }
    case 'key-auth':
      return {
        'key-auth': {},
        'limit-count': { count: plenty, time_window: 60, key: 'consumer_name', rejected_code: 429 },
        ...everyday,
        ...log,
      }
  }
}

function consumer({ id, secret, key }: ClientApplication, chain: Work['chain']): object {
  const credential =
    chain === 'key-auth'
      ? { 'key-auth': { key } }
      : { 'client-id-enforcement': { client_id: id, client_secret: secret } }
  return { username: id, credentials: [{ id: `${id}-credential`, plugins: credential }] }
}

const textOf = (path: string) => readFileSync(path, 'utf8')

function writeJson(path: string, value: object): void {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`)
}
