import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { catalogue, type PolicyName } from '../../src/policies/index.ts'
import {
  type ExampleRequest,
  exampleHost,
  exampleRequest,
  exampleResources,
  plainHost,
} from '../../test/harness/example-requests.ts'
import { type ExampleServices, startExampleServices } from '../../test/harness/example-services.ts'
import type { Bench, Scenario } from '../bench.ts'
import { type Launched, launch } from '../launch.ts'
import { haproxyWithPolicies, hasDirectives } from '../opponents/haproxy-policies.ts'
import {
  costOf,
  costTable,
  type Group,
  groups,
  notMeasured,
  type PolicyCost,
  type RoundCost,
} from '../policy-costs.ts'
import { processMicros } from '../process-tree.ts'
import type { Section } from '../section.ts'
import { freePort } from '../site.ts'
import { runWrk } from '../traffic.ts'

const main = fileURLToPath(new URL('../../bin/sluice.js', import.meta.url))

/** Where a policy is dear enough to ask why. */
const dear = 5

const tolerated = 0.001

export const policyCosts: Scenario = {
  name: 'policies',
  summary:
    'CPU microseconds that the example of each policy (src/policies/examples.ts) adds to a request, against the same route without it, which is measured before and after it in the same round. Requests to the policy also carry the fields that it asks for. Services that it calls are stubs outside of the gateway. "~": within the noise.',
  run,
}

/** A route that can be asked; `settings` as load/traffic.lua takes them. */
interface Target {
  pid: number
  port: number
  settings: Readonly<Record<string, string | number>>
}

/** A policy of a group, and the route without it, in one gateway. */
interface Pair {
  name: PolicyName
  target: Target
  without: Target
  rounds: RoundCost[]
  problem?: string
}

async function run(bench: Bench): Promise<Section> {
  const asked = bench.options.policies ?? []
  const names = ([...catalogue.keys()] as PolicyName[]).filter(
    (name) => asked.length === 0 || asked.includes(name),
  )
  const services = await startExampleServices()
  const [ours, haproxys]: Pair[][] = [[], []]
  try {
    for (const group of groups(names, services)) {
      ours!.push(...(await measureGroup(bench, group, services)))
      const comparable = group.names.filter(hasDirectives)
      if (comparable.length > 0 && bench.opponents.some(({ name }) => name === 'haproxy'))
        haproxys!.push(...(await measureHaproxy(bench, { ...group, names: comparable }, services)))
    }
  } finally {
    await services.stop()
  }
  return section(names, ours!, haproxys!)
}

async function measureGroup(bench: Bench, group: Group, services: ExampleServices): Promise<Pair[]> {
  const folder = mkdtempSync(join(bench.site.folder, 'policies-'))
  const port = await freePort()
  const configuration = join(folder, 'configuration')
  mkdirSync(configuration)
  writeFileSync(
    join(configuration, 'gateway.json'),
    JSON.stringify({
      gateway: {
        listeners: [{ name: 'http', host: '127.0.0.1', port }],
        workers: 1,
        limits: { requests_per_connection: 10_000_000 },
        timeouts: { keepalive: '60m' },
        control: { enabled: false },
        metrics: { port: 0 },
        log: { level: 'error' },
      },
      upstreams: [
        {
          id: 'upstream',
          nodes: { [`127.0.0.1:${bench.site.upstreamPort}`]: 1 },
          keepalive_pool: { size: 256, requests: 10_000_000 },
        },
      ],
      ...exampleResources(group.names, services, 'upstream', folder),
    }),
  )
  const command = [process.execPath, ...bench.site.nodeArguments, main, 'start', '-c', configuration]
  const core = bench.site.cores.gateway
  const gateway = await launch({ name: 'sluice', folder, core, command, port, patience: 60_000 })
  try {
    const target = (host: string, request: ExampleRequest) => ({
      pid: gateway.pid,
      port,
      settings: settingsOf(folder, host, request),
    })
    const without = target(group.base, baseRequest(group, services))
    const pairs = group.names.map((name): Pair => {
      const request = exampleRequest(name, services)
      return { name, target: target(exampleHost(name), request), without, rounds: [] }
    })
    await measurePairs(bench, 'sluice', pairs)
    return pairs
  } finally {
    await gateway.stop()
  }
}

/** What stands beside the policies may ask for fields, which are the same for all of a group. */
function baseRequest(group: Group, services: ExampleServices): ExampleRequest {
  return group.base === plainHost ? group.request : exampleRequest(group.names[0]!, services)
}

async function measureHaproxy(bench: Bench, group: Group, services: ExampleServices): Promise<Pair[]> {
  const folder = mkdtempSync(join(bench.site.folder, 'haproxy-'))
  const plainPort = await freePort()
  const ports = new Map<PolicyName, number>()
  for (const name of group.names) ports.set(name, await freePort())
  const command = haproxyWithPolicies(bench.site, folder, plainPort, ports)
  const core = bench.site.cores.gateway
  let haproxy: Launched
  try {
    haproxy = await launch({ name: 'haproxy', folder, core, command, port: plainPort })
  } catch (error) {
    bench.progress((error as Error).message)
    return []
  }
  try {
    const { pid } = haproxy
    const settings = settingsOf(folder, group.base, group.request)
    const pairs = Array.from(ports, ([name, port]): Pair => {
      const request = exampleRequest(name, services)
      return {
        name,
        target: { pid, port, settings: settingsOf(folder, exampleHost(name), request) },
        without: { pid, port: plainPort, settings },
        rounds: [],
      }
    })
    await measurePairs(bench, 'haproxy', pairs)
    return pairs
  } finally {
    await haproxy.stop()
  }
}

/** All pairs have the same route without policies. */
async function measurePairs(bench: Bench, label: string, pairs: readonly Pair[]): Promise<void> {
  const { options, progress } = bench
  const [{ without } = { without: undefined }] = pairs
  if (without === undefined) return
  progress(`policies: warming up ${label} with ${pairs.map(({ name }) => name).join(', ')}`)
  if (label === 'sluice') await cost(bench, without, options.warmup)
  for (const pair of pairs)
    await cost(bench, pair.target, 1).catch((error: Error) => {
      pair.problem = error.message
    })
  for (let round = 0; round < options.rounds; round++) {
    const before = await cost(bench, without, options.seconds)
    const costs: (number | undefined)[] = []
    for (const pair of pairs)
      costs.push(pair.problem === undefined ? await cost(bench, pair.target, options.seconds) : undefined)
    const after = await cost(bench, without, options.seconds)
    for (const [index, pair] of pairs.entries()) {
      const one = costs[index]
      if (one !== undefined) pair.rounds.push({ with: one, without: [before, after] })
    }
  }
}

/** CPU microseconds for each request. Throws when requests fail. */
async function cost(bench: Bench, { pid, port, settings }: Target, seconds: number): Promise<number> {
  const before = processMicros(pid)
  const run = await runWrk(bench.site, port, 64, seconds, settings)
  const used = processMicros(pid) - before
  const errors = (run.refused + run.failed) / run.requests
  if (errors > tolerated || run.requests === 0)
    throw new Error(`${(100 * errors).toFixed(1)} % of ${run.requests} requests failed`)
  return used / run.requests
}

function settingsOf(
  folder: string,
  host: string,
  { method, path = '', headers = {}, body = '', contentType = 'application/json' }: ExampleRequest,
): Record<string, string> {
  const fields = join(folder, `${host}.fields`)
  const content = join(folder, `${host}.body`)
  writeFileSync(
    fields,
    Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join(''),
  )
  writeFileSync(content, body)
  return {
    host,
    method: method ?? (body === '' ? 'GET' : 'POST'),
    path,
    fields,
    ...(body !== '' && { content, type: contentType }),
  }
}

function section(names: readonly PolicyName[], ours: readonly Pair[], haproxys: readonly Pair[]): Section {
  const costs = costsOf(ours)
  const theirs = costsOf(haproxys)
  const over = [...costs].filter(([, { added, isNoise }]) => added.median > dear && !isNoise)
  return {
    name: policyCosts.name,
    summary: policyCosts.summary,
    ...costTable(costs, theirs),
    notes: [
      ...over.map(([name, { added }]) => `${name} adds more than ${dear} us: ${added.median.toFixed(1)}`),
      ...[...ours, ...haproxys].flatMap(({ name, problem }) => (problem ? [`${name}: ${problem}`] : [])),
      ...names.flatMap((name) =>
        notMeasured[name] ? [`${name} is not measured: it ${notMeasured[name]}`] : [],
      ),
    ],
    data: { sluice: Object.fromEntries(costs), haproxy: Object.fromEntries(theirs) },
  }
}

function costsOf(pairs: readonly Pair[]): Map<PolicyName, PolicyCost> {
  return new Map(
    pairs.filter(({ rounds }) => rounds.length > 0).map(({ name, rounds }) => [name, costOf(rounds)]),
  )
}
