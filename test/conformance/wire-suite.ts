/**
 * Runs cases against the gateway, one after the other over the same upstream pool, as node:test tests.
 * Whatever HTTP/2 can say too is asked in both protocols.
 * SLUICE_WIRE_PROXY=HOST:PORT with SLUICE_WIRE_UPSTREAM_PORT runs them against another proxy, for calibration.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startGateway } from '../harness/gateway.ts'
import { converseOverHttp2, requestsIn } from '../harness/http2-client.ts'
import { type Conversation, converse } from '../harness/raw-client.ts'
import { probePath, ScriptedUpstream } from '../harness/scripted-upstream.ts'
import { brokenInvariants, describeRun } from './invariants.ts'
import { get, host, placeOf, type Run, type WireCase } from './wire-case.ts'
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
      const title = `${wireCase.id}: ${wireCase.title} [${wireCase.rule}]`
      test(title, () => runCase(wireCase, proxy, upstream, overHttp1))
      if (process.env.SLUICE_WIRE_PROXY === undefined && config.tls === undefined && isForHttp2(wireCase))
        test(`${title} over HTTP/2`, () => runCase(wireCase, proxy, upstream, overHttp2))
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

const isForHttp2 = (wireCase: WireCase): boolean =>
  wireCase.onlyHttp1 !== true && requestsIn(stepsOf(wireCase)) !== null

const stepsOf = (wireCase: WireCase) => [wireCase.steps(placeOf(wireCase))].flat()

type Ask = (wireCase: WireCase, proxy: Proxy) => Promise<Conversation>

const overHttp1: Ask = (wireCase, { host, port, tls }) =>
  converse({
    within: 1500,
    closeWithin: 900,
    settle: 25,
    ...wireCase,
    host,
    port,
    tls,
    steps: stepsOf(wireCase),
  })

const longestWait = (wireCase: WireCase): number =>
  Math.max(
    wireCase.within ?? 1500,
    ...stepsOf(wireCase).map((step) =>
      typeof step === 'object' && 'within' in step ? (step.within ?? 0) : 0,
    ),
  )

const overHttp2: Ask = (wireCase, { host, port }) =>
  converseOverHttp2({ host, port, requests: requestsIn(stepsOf(wireCase))!, within: longestWait(wireCase) })

async function runCase(
  wireCase: WireCase,
  proxy: Proxy,
  upstream: ScriptedUpstream,
  ask: Ask,
): Promise<void> {
  const { path } = placeOf(wireCase)
  const script = typeof wireCase.upstream === 'function' ? wireCase.upstream() : wireCase.upstream
  await upstream.reset(script)
  const client = await ask(wireCase, proxy)
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
