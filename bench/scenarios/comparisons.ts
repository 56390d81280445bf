import type { Bench } from '../bench.ts'
import { type Comparison, type Contender, comparison, unit } from '../comparison.ts'
import { smallGets } from '../traffic.ts'
import { forwarding, type Work } from '../work.ts'

const overHosts = 'sluice, 100000 routes over 1000 hosts'
const behindNine = 'sluice, behind nine'

const overTcp: Work = { ...forwarding, tcp: true }
const againstHaproxy: Comparison['targets'] = [{ label: 'sluice', than: 'haproxy', must: 1.5, aim: 1.25 }]

/** What is compared with nginx on the same traffic, in CPU per request. */
export const comparisons = [
  comparison({
    name: 'plain',
    summary: 'Small GETs over 64 kept connections; one route, no policy.',
    traffic: smallGets,
    contenders: (bench) => everyone(bench, forwarding),
    targets: againstNginx(1.35, 1.1),
  }),
  comparison({
    name: 'chain',
    summary: 'Client-id enforcement (HTTP Basic), SLA rate limit, CORS, metrics; 16 client applications.',
    traffic: smallGets,
    contenders: (bench) => some(bench, { ...forwarding, chain: 'client-id' }),
    targets: againstNginx(1.75, 1.35),
  }),
  comparison({
    name: 'key-auth',
    summary: 'key-auth, limit-count, cors, prometheus; 16 consumers.',
    traffic: smallGets,
    contenders: (bench) => some(bench, { ...forwarding, chain: 'key-auth' }),
    targets: againstNginx(1.75, 1.35),
  }),
  comparison({
    name: 'chain-log',
    summary: 'The full chain with a JSON access-log line for each exchange, to a file. nginx writes none.',
    traffic: smallGets,
    contenders: (bench) => some(bench, { ...forwarding, chain: 'client-id', accessLog: true }),
    targets: againstNginx(1.95, 1.5),
  }),
  comparison({
    name: 'post',
    summary: 'POST with a body of 4 KiB; one route, no policy.',
    traffic: { ...smallGets, method: 'POST', body: 4096 },
    contenders: (bench) => some(bench, forwarding),
    targets: againstNginx(1.5, 1.1),
  }),
  comparison({
    name: 'large',
    summary: 'A response of 1 MiB over 16 kept connections; one route, no policy.',
    traffic: { ...smallGets, target: 'object', connections: 16 },
    contenders: (bench) => some(bench, forwarding),
    targets: againstNginx(1.5, 1.1),
  }),
  comparison({
    name: 'connect',
    summary: 'A new client connection for each small GET; one route, no policy.',
    traffic: { ...smallGets, close: true },
    contenders: (bench) => some(bench, forwarding),
    targets: [],
  }),
  comparison({
    name: 'tls',
    summary: 'Small GETs over 64 kept connections with TLS 1.3; one route, no policy.',
    traffic: smallGets,
    contenders: (bench) => some(bench, { ...forwarding, tls: true }),
    targets: againstNginx(1.5, 1.25),
  }),
  comparison({
    name: 'handshakes',
    summary:
      'A new client connection with a full TLS 1.3 handshake for each small GET; one route, no policy.',
    traffic: { ...smallGets, close: true },
    contenders: (bench) => some(bench, { ...forwarding, tls: true }),
    targets: againstNginx(1.5, 1.25),
  }),
  comparison({
    name: 'http2',
    summary:
      'Small GETs in HTTP/2 over TLS 1.3, 16 at once on each of 16 connections; one route, no policy. The load is that of h2load.',
    traffic: { ...smallGets, connections: 16, streams: 16 },
    contenders: (bench) => some(bench, { ...forwarding, tls: true }),
    targets: againstNginx(1.8, 1.4),
  }),
  comparison({
    name: 'tcp',
    summary:
      'The bytes of small GETs and their answers over 64 kept connections, passed on as TCP. HAProxy does the same.',
    traffic: smallGets,
    contenders: (bench) => only(bench, ['haproxy', 'sluice'], overTcp),
    targets: againstHaproxy,
  }),
  comparison({
    name: 'tcp-large',
    summary: '1 MiB at a time over 16 kept connections, passed on as TCP. HAProxy does the same.',
    traffic: { ...smallGets, target: 'object', connections: 16 },
    contenders: (bench) => only(bench, ['haproxy', 'sluice'], overTcp),
    targets: againstHaproxy,
  }),
  comparison({
    name: 'tcp-connect',
    summary:
      'A TCP session for each small GET, with a connection to the upstream of its own. HAProxy does the same.',
    traffic: { ...smallGets, close: true },
    contenders: (bench) => only(bench, ['haproxy', 'sluice'], overTcp),
    targets: againstHaproxy,
  }),
  comparison({
    name: 'routes',
    summary: 'Tables of 10 to 100 000 routes, requests spread over all of them; nginx has one location.',
    traffic: smallGets,
    contenders: (bench) => [...only(bench, [unit], forwarding), ...tables(bench)],
    targets: [
      { label: table(10_000), than: table(10), must: 1.15, aim: 1 },
      { label: table(100_000), than: table(10), must: 1.15, aim: 1 },
    ],
  }),
  comparison({
    name: 'hosts',
    summary:
      '100 000 routes over 1 000 hosts beside ten routes, requests spread over all of them; nginx has one server.',
    traffic: smallGets,
    contenders: (bench) => [
      ...only(bench, [unit], forwarding),
      ...only(bench, ['sluice'], { ...forwarding, routes: 10 }).map((it) => ({ ...it, label: table(10) })),
      ...only(bench, ['sluice'], { ...forwarding, routes: 100_000, hosts: 1_000 }).map((it) => ({
        ...it,
        label: overHosts,
      })),
    ],
    targets: [{ label: overHosts, than: table(10), must: 1.15, aim: 1 }],
  }),
  comparison({
    name: 'vars',
    summary:
      'A route behind nine with the same path whose conditions on a parameter, a field and a cookie fail; nginx only forwards.',
    traffic: smallGets,
    contenders: (bench) => [
      ...only(bench, [unit, 'sluice'], forwarding),
      ...only(bench, ['sluice'], { ...forwarding, failing: 9 }).map((it) => ({ ...it, label: behindNine })),
    ],
    targets: [{ label: behindNine, than: 'sluice', mostMore: 3 }],
  }),
]

function everyone(bench: Bench, work: Work): Contender[] {
  return bench.opponents
    .filter((opponent) => opponent.does(work))
    .map((opponent) => ({ label: opponent.name, opponent, work }))
}

/** In a quick run only Sluice meets the unit here, unless others are asked for by name. */
function some(bench: Bench, work: Work): Contender[] {
  const brief = bench.options.quick && bench.options.opponents.length === 0
  return brief ? only(bench, [unit, 'sluice'], work) : everyone(bench, work)
}

function only(bench: Bench, names: readonly string[], work: Work): Contender[] {
  return everyone(bench, work).filter(({ label }) => names.includes(label))
}

function tables(bench: Bench): Contender[] {
  const sizes = bench.options.quick ? [10, 10_000, 100_000] : [10, 1_000, 10_000, 100_000]
  return sizes.flatMap((routes) =>
    only(bench, ['sluice'], { ...forwarding, routes }).map((it) => ({ ...it, label: table(routes) })),
  )
}

function table(routes: number): string {
  return `sluice, ${routes} routes`
}

function againstNginx(must: number, aim: number): Comparison['targets'] {
  return [{ label: 'sluice', than: unit, must, aim }]
}
