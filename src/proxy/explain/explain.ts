/** Explains what the gateway does with a request: by whom it is taken, who has a say, and where it goes. */
import type { ListenerSettings, Settings } from '../../config/settings.ts'
import type { Engine } from '../engine.ts'
import { errors, type GatewayError } from '../errors.ts'
import type { PolicyFactory, Verdict } from '../exchange.ts'
import { asksForWebSocket, forwardedTarget, sameWithoutParameters } from '../http1/admission.ts'
import { requestHead } from '../http1/request-head.ts'
import type { Binding, Runtime } from '../runtime.ts'
import { missingUpstream, upstreamFor } from '../upstream-choice.ts'
import { candidateOf, nearMisses } from './candidates.ts'
import type { RequestDescription } from './description.ts'
import { type DryOutcome, type DryRun, runDry } from './dry-run.ts'
import { explainUpstream } from './endpoints.ts'
import type { ExplainedOutcome, Explanation } from './explanation.ts'
import { explainPolicies } from './policies.ts'
import { shownLine } from './shown.ts'
import { type SimulatedRequest, simulateRequest, targetProblem } from './simulated-request.ts'
import { explainStream, streamUrl } from './stream.ts'

/** What is explained: a runtime with a plan, and policies of that plan that are bound to services without consequences. */
export interface Explained {
  readonly engine: Pick<Engine, 'runtime' | 'settings' | 'trusted'>
  readonly policies: ReadonlyMap<string, PolicyFactory>
  readonly version: number
}

/** Hosts of which it is told that they have a route for the request. */
const mostHosts = 10_000
const mostOtherHosts = 10

export async function explain(explained: Explained, description: RequestDescription): Promise<Explanation> {
  const { engine, version } = explained
  const { settings } = engine
  const session = streamUrl(description.url)
  if (session !== null) return explainStream(explained, description, session)
  const { listener, chosen } = listenerOf(description, settings)
  const request = simulateRequest(description, listener, settings, engine.trusted)
  const explanation = begin(version, listener, chosen, description)
  if ('code' in request) {
    return { ...explanation, outcome: refusal(request, 'the head of the request cannot be read') }
  }
  const { exchange, facts } = request
  explanation.client = {
    address: exchange.client.address,
    peer: facts.peerAddress,
    trusted: facts.isTrusted,
  }
  const { method, target, host, path, query } = exchange
  explanation.request = { method, target, host, path, query }
  if (request.refused !== null) {
    explanation.outcome = refusal(request.refused, whyRefused(request, settings))
    return explanation
  }
  return explainRouted(explanation, request, explained)
}

async function explainRouted(
  explanation: Explanation,
  request: SimulatedRequest,
  explained: Explained,
): Promise<Explanation> {
  const { exchange, target } = request
  const { engine, policies } = explained
  const { runtime, settings } = engine
  const binding = match(request, runtime)
  explanation.candidates = runtime.explain(exchange).map((candidate) => candidateOf(candidate, exchange))
  explanation.other_hosts = runtime
    .explainHosts(exchange, mostHosts)
    .slice(0, mostOtherHosts)
    .map((candidate) => candidateOf(candidate, exchange))
  if (binding === null) explanation.hints = nearMisses(exchange, runtime)
  else Object.assign(explanation, routeOf(binding))
  if (target.hasParameters && !sameWithoutParameters(exchange, binding, runtime, settings.paths)) {
    explanation.outcome = refusal(
      errors.badTarget,
      'the path has parameters (;), and without them another route would take it: gateway.paths.parameters',
    )
    return explanation
  }
  exchange.binding = binding
  const run = await runDry(exchange, binding, policies, runtime)
  const { consumer, credentialId } = exchange
  explanation.consumer = consumer && { username: consumer.username, credential: credentialId }
  explanation.policies = explainPolicies(run, binding, exchange, runtime, policies)
  explanation.outcome = outcomeOf(run, request, explained)
  explanation.answer_fields =
    exchange.edits?.text().trimEnd().split('\r\n').filter(Boolean).map(shownLine) ?? []
  const upstream = binding && upstreamFor(exchange, binding, runtime)
  if (upstream) explanation.upstream = explainUpstream(upstream, binding, exchange)
  return explanation
}

/** As the engine does it: where a condition or a policy asks for the body, it is there the second time. */
function match({ exchange, body }: SimulatedRequest, runtime: Runtime): Binding | null {
  for (;;) {
    const binding = runtime.match(exchange, exchange.path)
    const { heldBody } = binding === null ? runtime.chains.global : binding.chain()
    if (heldBody > 0) exchange.heldBody(heldBody)
    const { held } = exchange
    if (held === null || held.wanted === 0) return binding
    if (body.length > held.wanted) held.exceeded(body.length)
    else held.complete(body)
  }
}

function begin(
  version: number,
  { name, host, port }: ListenerSettings,
  chosen: Explanation['listener']['chosen'],
  { method, url, from = '127.0.0.1' }: RequestDescription,
): Explanation {
  return {
    version,
    listener: { name, host, port, chosen },
    client: { address: from, peer: from, trusted: false },
    request: { method, target: url, host: '', path: '', query: '' },
    candidates: [],
    other_hosts: [],
    hints: [],
    route: null,
    service: null,
    consumer: null,
    policies: [],
    outcome: { kind: 'failed', status: 404, code: errors.routeNotFound.code },
    answer_fields: [],
    upstream: null,
  }
}

function listenerOf(
  { listener: name, url }: RequestDescription,
  { listeners }: Settings,
): { listener: ListenerSettings; chosen: Explanation['listener']['chosen'] } {
  const asked = URL.parse(url)
  const first = listeners[0]!
  const named = listeners.find((listener) => listener.name === name)
  if (named !== undefined) return { listener: named, chosen: 'name' }
  if (asked === null) return { listener: first, chosen: name === undefined ? 'first' : 'other' }
  const port = Number(asked.port || 80)
  const ofPort = listeners.find((listener) => listener.port === port)
  return ofPort === undefined ? { listener: first, chosen: 'other' } : { listener: ofPort, chosen: 'port' }
}

function routeOf({
  route,
  service,
  matchedUri,
  matchedHost,
}: Binding): Pick<Explanation, 'route' | 'service'> {
  const named = ({ id, name }: { id: string; name?: string }) => ({ id, ...(name !== undefined && { name }) })
  return {
    route: { ...named(route), path: matchedUri, host: matchedHost },
    service: route.service_id === undefined ? null : named(service ?? { id: route.service_id }),
  }
}

function whyRefused({ head, refused }: SimulatedRequest, settings: Settings): string {
  switch (refused) {
    case errors.badTarget:
      return targetProblem(head, settings.paths) ?? 'the target cannot be read'
    case errors.badHost:
      return 'the Host field is not one name or address with at most one port'
    case errors.methodNotAllowed:
      return `${head.method} is never let through`
    case errors.bodyTooLarge:
      return 'the body is larger than gateway.limits.body'
    default:
      return 'it expects something that the gateway does not know'
  }
}

function refusal({ status, code }: GatewayError, why: string): ExplainedOutcome {
  return { kind: 'refused', status, code, why }
}

function outcomeOf({ outcome }: DryRun, request: SimulatedRequest, explained: Explained): ExplainedOutcome {
  switch (outcome.kind) {
    case 'answered':
      return answered(outcome.verdict, outcome.policy)
    case 'failed':
      return { kind: 'failed', status: outcome.error.status, code: outcome.error.code }
    case 'undecided':
      return { kind: 'failed', status: errors.policyFailed.status, code: 'undecided' }
    case 'forwarded':
      return forwarded(outcome, request, explained)
  }
}

function answered({ status, body }: Verdict, by: string): ExplainedOutcome {
  return { kind: 'answered', status, by, ...(body !== undefined && { body }) }
}

function forwarded(
  { binding }: DryOutcome & { kind: 'forwarded' },
  { exchange, target, head, facts }: SimulatedRequest,
  { engine }: Explained,
): ExplainedOutcome {
  const upstream = upstreamFor(exchange, binding, engine.runtime)
  const failed = ({ status, code }: GatewayError): ExplainedOutcome => ({ kind: 'failed', status, code })
  if (upstream === null) return failed(missingUpstream(exchange, binding, engine.runtime))
  const path = forwardedTarget(exchange, target, binding.stripPrefix, engine.settings.paths)
  if (path === null) return failed(errors.badTarget)
  const endpoint =
    upstream.certain(exchange) ??
    upstream.endpoints.find(({ weight, usable }) => weight > 0 && usable) ??
    upstream.endpoints[0]
  if (endpoint === undefined) return failed(errors.noEndpoint)
  exchange.forwardTarget = path
  exchange.authority = target.authority
  exchange.upgrade = binding.webSocket && asksForWebSocket(head)
  const text = requestHead(exchange, upstream, endpoint, facts, engine)
  return { kind: 'forwarded', head: text.trimEnd().split('\r\n').map(shownLine) }
}
