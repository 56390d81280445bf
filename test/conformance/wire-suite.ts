/**
 * Runs cases against the gateway, one after the other over the same upstream pool, as node:test tests.
 * SLUICE_WIRE_PROXY=HOST:PORT with SLUICE_WIRE_UPSTREAM_PORT runs them against another proxy, for calibration.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startGateway } from '../harness/gateway.ts'
import { converse } from '../harness/raw-client.ts'
import { probePath, ScriptedUpstream } from '../harness/scripted-upstream.ts'
import { brokenInvariants, describeRun } from './invariants.ts'
import { get, host, type Run, type WireCase } from './wire-case.ts'
import { type WireConfig, wireConfig } from './wire-config.ts'

interface Proxy {
  host: string
  port: number
  /** The name to ask for in TLS; undefined: it is not spoken. */
  tls?: string | undefined
  stop(): Promise<void>
}

export function wireSuite(name: string, cases: WireCase[], config: WireConfig = {}): void {
  describe(name, () => {
    const upstream = new ScriptedUpstream()
    let proxy: Proxy
    before(async () => {
      proxy = await startProxy(upstream, config)
    })
    after(async () => {
      await proxy?.stop()
      await upstream.close()
    })
    assert.equal(new Set(cases.map(({ id }) => id)).size, cases.length, 'two cases have the same id')
    for (const wireCase of cases) {
      test(`${wireCase.id}: ${wireCase.title} [${wireCase.rule}]`, () => runCase(wireCase, proxy, upstream))
    }
  })
}

async function startProxy(upstream: ScriptedUpstream, config: WireConfig): Promise<Proxy> {
  const external = process.env.SLUICE_WIRE_PROXY
  if (external !== undefined) {
    await upstream.listen(Number(process.env.SLUICE_WIRE_UPSTREAM_PORT))
    const url = new URL(`http://${external}`)
    return { host: url.hostname, port: Number(url.port), stop: async () => {} }
  }
  await upstream.listen()
  const gateway = await startGateway((port) => wireConfig(port, upstream.port, config))
  const serverName = config.tls && host
  return { host: '127.0.0.1', port: gateway.port, tls: serverName, stop: () => gateway.stop() }
}

async function runCase(wireCase: WireCase, proxy: Proxy, upstream: ScriptedUpstream): Promise<void> {
  const path = `/case-${wireCase.id}`
  const script = typeof wireCase.upstream === 'function' ? wireCase.upstream() : wireCase.upstream
  await upstream.reset(script)
  const steps = [wireCase.steps({ path, hidden: get(`${path}/hidden`) })].flat()
  const { methods, within, closeWithin, settle } = { within: 1500, closeWithin: 900, settle: 25, ...wireCase }
  const { host, port, tls } = proxy
  const client = await converse({
    host,
    port,
    tls,
    steps,
    methods: methods ?? ['GET'],
    within,
    closeWithin,
    settle,
  })
  await sleep(wireCase.after ?? 15)
  upstream.use({})
  const poisoned = await probe(proxy)
  const run: Run = {
    case: wireCase,
    path,
    client,
    requests: upstream.requests,
    connections: upstream.connections,
    upstreamFindings: upstream.findings,
  }
  const problems = brokenInvariants(run)
  if (poisoned) problems.push(`later request: ${poisoned}`)
  const obstacles = wireCase.accept.map((outcome) => ({ label: outcome.label, problem: outcome.judge(run) }))
  if (!obstacles.some(({ problem }) => problem === null)) {
    problems.push(...obstacles.map(({ label, problem }) => `not ${label}: ${problem}`))
  }
  assert.equal(problems.length, 0, `${problems.join('\n')}\n${describeRun(run)}`)
}

let probes = 0

/** Two plain requests over the pool that the case left behind must get exactly their own answers. */
async function probe({ host, port, tls }: Proxy): Promise<string | null> {
  let failure = ''
  for (const pause of [0, 120, 400]) {
    await sleep(pause)
    const paths = [`${probePath}${++probes}`, `${probePath}${++probes}`]
    const steps = paths.flatMap((path, index) => [get(path), { answers: index + 1 }])
    const { answers } = await converse({ host, port, tls, steps, methods: ['GET', 'GET'], settle: 1 })
    failure = ''
    for (const [index, path] of paths.entries()) {
      const answer = answers[index]
      if (!answer?.complete) failure = 'no answer'
      else if (answer.status >= 500) failure = `status ${answer.status}`
      else if (answer.body.toString('latin1') !== `ok GET ${path} length=0\n`) {
        return `${answer.status} ${JSON.stringify(answer.body.toString('latin1', 0, 80))}, not its own answer`
      }
    }
    if (failure === '') return null
  }
  return `the gateway no longer answers (${failure})`
}
