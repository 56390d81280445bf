/**
 * Loaded before a gateway (`node --import`), it puts a probe in the place of every built-in policy: the same name, schema,
 * stage, priority and phases, but handlers that do what the request says. So one test can ask of all of them what the
 * pipeline promises for each.
 *
 * - X-Case: whoever has a turn writes a line to the file that PROBE_LOG names: this text, the phase and the name.
 * - X-Probe: `refuse PHASE`, `throw PHASE`, or `later refuse PHASE` as a promise: what that turn comes to.
 */
import { appendFileSync } from 'node:fs'
import { catalogue } from '../../src/policies/index.ts'
import type { AnyPolicy } from '../../src/policies/kit/policy.ts'
import type { Exchange, PolicyHandlers, Verdict } from '../../src/proxy/exchange.ts'

const find = catalogue.get.bind(catalogue)
const probes = new Map<string, AnyPolicy>()

catalogue.get = (name) => {
  const policy = find(name)
  if (policy === undefined || !catalogue.isFixed(name)) return policy
  const known = probes.get(name)
  if (known !== undefined) return known
  const create: AnyPolicy['create'] = (config, host) => probeOf(name, policy.create(config, host))
  const probe = { ...policy, create }
  probes.set(name, probe)
  return probe
}

/** @param handlers of the policy: the probe takes part in the same phases */
export function probeOf(name: string, handlers: PolicyHandlers): PolicyHandlers {
  const turns = Object.keys(handlers).map((phase) => [
    phase,
    (exchange: Exchange) => turn(name, phase, exchange),
  ])
  return Object.fromEntries(turns) as PolicyHandlers
}

function turn(name: string, phase: string, { request: { headers } }: Exchange): unknown {
  appendFileSync(process.env.PROBE_LOG!, `${headers.sent('x-case')} ${phase} ${name}\n`)
  const wanted = headers.sent('x-probe')
  const come = (): Verdict | undefined => {
    if (wanted?.endsWith(`throw ${phase}`)) throw new Error(`${name} was asked to throw`)
    return wanted?.endsWith(`refuse ${phase}`) ? { status: 418, body: `${name} refuses` } : undefined
  }
  return wanted === `later refuse ${phase}` ? Promise.resolve().then(come) : come()
}
