/** Explains what the gateway does with a TCP or UDP session: which stream route takes it, who has a say, and where it goes. */
import { isIP } from 'node:net'
import type { ListenerSettings, Settings } from '../../config/settings.ts'
import { clock } from '../clock.ts'
import { errors } from '../errors.ts'
import { isOff, mergePolicies, streamRouteContributions } from '../merging.ts'
import type { Runtime } from '../runtime.ts'
import type { Arrival, ConsideredStream, StreamLoss } from '../stream/router.ts'
import { SessionClient, StreamSession } from '../stream/session.ts'
import type { StreamBinding } from '../stream/stream-routes.ts'
import type { RequestDescription } from './description.ts'
import { upstreamFacts } from './endpoints.ts'
import type { Explained } from './explain.ts'
import type { ExplainedCandidate, ExplainedPolicy, Explanation } from './explanation.ts'

const listening = { 'tcp:': ['tcp'], 'tls:': ['tls'], 'udp:': ['udp'] } as const
type StreamProtocol = keyof typeof listening

/** The URL of a session: `tcp://10.0.0.1:6379`, `tls://db.example:5432`, `udp://127.0.0.1:53`. Null: it is of a request. */
export function streamUrl(url: string): (URL & { protocol: StreamProtocol }) | null {
  const parsed = URL.parse(url)
  return parsed !== null && Object.hasOwn(listening, parsed.protocol) ? (parsed as never) : null
}

/** @param url as `streamUrl` reads it */
export function explainStream(
  { engine, policies, version }: Explained,
  { url: text, from = '127.0.0.1', listener: wanted }: RequestDescription,
  url: URL & { protocol: StreamProtocol },
): Explanation {
  const { runtime, settings } = engine
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const { listener, chosen } = listenerFor(url, wanted, settings)
  const localAddress = isIP(host) === 0 ? '127.0.0.1' : host
  const localPort = Number(url.port) || (listener?.port ?? 0)
  const serverName = url.protocol === 'tls:' && isIP(host) === 0 ? host.toLowerCase() : ''
  const arrival: Arrival = { remoteAddress: from, localAddress, localPort, serverName }
  const considered = runtime.streams.explain(arrival)
  const last = considered.at(-1)
  const binding = listener !== null && last?.losses.length === 0 ? last.value : null
  const explanation: Explanation = {
    version,
    stream: true,
    listener: {
      name: listener?.name ?? '',
      host: listener?.host ?? localAddress,
      port: listener?.port ?? localPort,
      chosen,
    },
    client: { address: from, peer: from, trusted: false },
    request: { method: url.protocol.slice(0, -1), target: text, host: serverName, path: '', query: '' },
    candidates: listener === null ? [] : considered.map((one) => candidate(one, arrival)),
    other_hosts: [],
    hints: listener === null ? [`no listener with protocol: ${url.protocol.slice(0, -1)} has that port`] : [],
    route: null,
    service: null,
    consumer: null,
    policies: [],
    outcome: { kind: 'failed', status: 500, code: errors.routeNotFound.code },
    answer_fields: [],
    upstream: null,
  }
  if (binding === null || listener === null) return explanation
  const { streamRoute: route, service } = binding
  explanation.route = { ...named(route), path: '', host: route.sni ?? '' }
  if (route.service_id !== undefined) explanation.service = named(service ?? { id: route.service_id })
  explanation.policies = policiesOf(binding, runtime, policies)
  const { upstream } = binding
  if (upstream === null) {
    explanation.outcome = { kind: 'failed', status: 503, code: errors.noEndpoint.code }
    return explanation
  }
  const client = new SessionClient(
    { address: from, port: 0 },
    { address: localAddress, port: localPort },
    listener.name,
    null,
  )
  clock.tick()
  const session = new StreamSession(client, url.protocol === 'udp:' ? 'UDP' : 'TCP', listener.host)
  explanation.upstream = upstreamFacts(upstream, upstream.timeouts, session)
  const { next, endpoints } = explanation.upstream
  explanation.outcome = endpoints.some(({ weight, usable }) => weight > 0 && usable)
    ? { kind: 'forwarded', head: [`the bytes as they come, to ${next ?? 'the endpoint whose turn it is'}`] }
    : { kind: 'failed', status: 503, code: errors.noEndpoint.code }
  return explanation
}

function listenerFor(
  { protocol, port }: URL & { protocol: StreamProtocol },
  wanted: string | undefined,
  { listeners }: Settings,
): { listener: ListenerSettings | null; chosen: Explanation['listener']['chosen'] } {
  const those = listeners.filter((one) => (listening[protocol] as readonly string[]).includes(one.protocol))
  const named = those.find(({ name }) => name === wanted)
  if (named !== undefined) return { listener: named, chosen: 'name' }
  if (port === '') return { listener: those[0] ?? null, chosen: those.length > 0 ? 'first' : 'other' }
  const ofPort = those.find((one) => one.port === Number(port))
  return { listener: ofPort ?? null, chosen: ofPort === undefined ? 'other' : 'port' }
}

function candidate({ value, losses }: ConsideredStream<StreamBinding>, arrival: Arrival): ExplainedCandidate {
  const { streamRoute: route } = value
  const why = losses.map((loss) => sentence(loss, value, arrival))
  return { route: named(route), path: '', host: route.sni ?? '', priority: 0, why }
}

function sentence(
  loss: StreamLoss,
  { streamRoute: route }: StreamBinding,
  { remoteAddress, localAddress, localPort, serverName }: Arrival,
): string {
  switch (loss) {
    case 'sni':
      return `sni: it takes ${route.sni}, not ${serverName === '' ? 'sessions without a name' : serverName}`
    case 'port':
      return `server_port: it takes ${route.server_port}, not ${localPort}`
    case 'remote':
      return `remote_addr: ${remoteAddress} is not in ${route.remote_addr}`
    case 'local':
      return `server_addr: ${localAddress} is not in ${route.server_addr}`
  }
}

/** They are not run: most of them count. */
function policiesOf(
  { streamRoute }: StreamBinding,
  { resources }: Runtime,
  policies: Explained['policies'],
): ExplainedPolicy[] {
  const explained: ExplainedPolicy[] = []
  for (const merged of mergePolicies(streamRouteContributions(streamRoute, resources)).values()) {
    const factory = policies.get(merged.name)
    const ofStreams = factory?.stream
    explained.push({
      name: merged.name,
      owner: merged.owner,
      replaces: [],
      stage: 'limit',
      priority: ofStreams?.priority ?? 0,
      phases: [],
      verdict: ofStreams === undefined ? 'no say' : isOff(merged) ? 'off' : 'not evaluated',
      notes: ofStreams === undefined ? ['it is for requests'] : [],
    })
  }
  return explained.sort((a, b) => b.priority - a.priority)
}

const named = ({ id, name }: { id: string; name?: string }) => ({ id, ...(name !== undefined && { name }) })
