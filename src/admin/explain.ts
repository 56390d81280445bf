/** Explanations at the control port: the data thread says what happens, the control thread adds where it was written. */
import type { Configuration } from '../config/configuration.ts'
import type { Plugins } from '../config/plan.ts'
import type { PathSegment } from '../config/problem.ts'
import { formatPath } from '../config/problem.ts'
import type { Provenance, SourcePosition, WantedProperty } from '../config/provenance.ts'
import { resourceOfOwner } from '../config/resource-owners.ts'
import type { SecretFields } from '../config/secret-fields.ts'
import { type RequestDescription, readDescription } from '../proxy/explain/description.ts'
import type { ExplainedProperty, Explanation } from '../proxy/explain/explanation.ts'
import { describeReason } from '../proxy/upstream/health/reason.ts'
import type { HealthSource } from './healthcheck.ts'
import { type Endpoints, json } from './server.ts'

/** Who knows. */
export interface ExplainSource {
  /** One data thread's word. */
  explain(description: RequestDescription): Promise<Explanation>
  sources(): Promise<Sources>
  health: HealthSource
}

/** Where everything was written. */
export interface Sources {
  configuration: Configuration
  provenance: Provenance
  secrets: SecretFields
}

export function explainEndpoints(source: ExplainSource): Endpoints {
  return {
    /** `{ "method": "GET", "url": "http://127.0.0.1:9080/users/1", "headers": {}, "body": "", "from": "10.0.0.1" }` */
    'POST /v1/explain': async ({ body }) => {
      const description = readDescription(parsed(body))
      if ('problem' in description) return json(400, { error_msg: description.problem })
      const explanation = await source.explain(description)
      addSources(explanation, await source.sources())
      addHealth(explanation, source.health)
      return json(200, explanation)
    },
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Adds to an explanation where each resource and each property of a policy was written. */
export function addSources(explanation: Explanation, sources: Sources): void {
  const places = new Places(sources)
  const { route, service, upstream, candidates, other_hosts: others, policies } = explanation
  const routes = explanation.stream === true ? 'stream_routes' : 'routes'
  for (const candidate of [...candidates, ...others]) {
    places.want(routes, candidate.route.id, [], candidate)
  }
  if (route !== null) places.want(routes, route.id, [], route)
  if (service !== null) places.want('services', service.id, [], service)
  if (upstream !== null) {
    const owner = resourceOfOwner(upstream.key)
    if (owner !== undefined) {
      places.want(owner.kind, owner.id, owner.kind === 'upstreams' ? [] : ['upstream'], upstream)
    }
  }
  for (const policy of policies) {
    const owner = resourceOfOwner(policy.owner)
    if (owner === undefined) continue
    const path = ['plugins', policy.name]
    places.want(owner.kind, owner.id, path, policy)
    const { plugins } = (sources.configuration.whole(owner.kind, owner.id) ?? {}) as { plugins?: Plugins }
    policy.properties = leaves(plugins?.[policy.name] ?? {}).map((leaf) => {
      const property: ExplainedProperty = {
        path: formatPath(leaf.path),
        value: sources.secrets.redact(owner, leaf.value, [...path, ...leaf.path]),
      }
      places.want(owner.kind, owner.id, [...path, ...leaf.path], property)
      return property
    })
  }
  places.settle()
}

function addHealth({ upstream }: Explanation, source: HealthSource): void {
  if (upstream === null) return
  const status = source.statusOf(upstream.key)
  if (status === undefined) return
  if (status.panicking) upstream.all_used = true
  for (const endpoint of upstream.endpoints) {
    const known = status.endpoints.filter(
      ({ address, hostname, port }) =>
        endpoint.address === hostPort(hostname, port) || endpoint.address === hostPort(address, port),
    )
    if (known.length === 0) continue
    endpoint.health = known.map(({ address, state, ejected, reason }) => ({
      address,
      state,
      ejected,
      last_failure: reason === undefined ? null : describeReason(reason),
    }))
  }
}

const hostPort = (host: string, port: number) =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

/** Collects what has to be found, so that every file is read once. */
class Places {
  readonly #sources: Sources
  readonly #wanted: WantedProperty[] = []
  readonly #takers: { source?: SourcePosition }[] = []

  constructor(sources: Sources) {
    this.#sources = sources
  }

  want(
    kind: Exclude<WantedProperty['kind'], 'gateway'>,
    id: string,
    path: PathSegment[],
    taker: { source?: SourcePosition },
  ): void {
    const { configuration } = this.#sources
    if (configuration.has(kind, id) && !configuration.isFromFile(kind, id)) {
      taker.source = { file: 'the Admin API', path: `/apisix/admin/${kind}/${id}` }
      return
    }
    this.#wanted.push({ kind, id, path })
    this.#takers.push(taker)
  }

  settle(): void {
    this.#sources.provenance.locate(this.#wanted).forEach((source, index) => {
      if (source !== undefined) this.#takers[index]!.source = source
    })
  }
}

/** Every value that is no map, with its path. Lists are told as a whole. */
function leaves(value: unknown, path: PathSegment[] = []): { path: PathSegment[]; value: unknown }[] {
  const isMap = typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isMap || (path.length > 0 && Object.keys(value).length === 0)) return [{ path, value }]
  return Object.entries(value).flatMap(([key, item]) => leaves(item, [...path, key]))
}
