/** Upstreams that stand in the configurations of policies. In a plan they belong to the resource that holds the policy. */
import { annotatedValues } from './annotated-values.ts'
import { upstreamSpec } from './normalise.ts'
import type { PlanResources, Plugins, UpstreamSpec } from './plan.ts'
import type { Catalogue } from './policy-check.ts'
import type { PathSegment } from './problem.ts'
import type { UpstreamInput } from './resources.ts'

/**
 * Marks a field of a policy's schema as an upstream that is written in place (`true`), or as something that an upstream
 * follows from: then it is a `Derivation`.
 */
export const upstreamAnnotation = 'x-upstream'

/** Undefined: there is no upstream behind it. */
export type Derivation = (value: never) => UpstreamInput | undefined

/** The kinds whose policies run, with what policies know them by. */
const owners = {
  routes: 'route',
  stream_routes: 'stream_route',
  services: 'service',
  plugin_configs: 'plugin_config',
  global_rules: 'global_rule',
  consumer_groups: 'consumer_group',
  consumers: 'consumer',
} as const

type Kind = keyof typeof owners
const kinds = Object.keys(owners) as Kind[]

/**
 * The identity of such an upstream: `route:1/traffic-split/rules.0.weighted_upstreams.0.upstream`.
 *
 * @param owner `route:1`, as policies know the resource that holds them
 */
export const policyUpstreamKey = (owner: string, policy: string, path: readonly PathSegment[]): string =>
  `${owner}/${policy}/${path.join('.')}`

/** A resource of a plan together with the upstreams of its policies. */
export function withPolicyUpstreams<Spec extends object>(
  kind: string,
  id: string,
  spec: Spec,
  catalogue: Catalogue,
): Spec & { policy_upstreams?: UpstreamSpec[] } {
  const { plugins } = spec as { plugins?: Plugins }
  if (plugins === undefined || !Object.hasOwn(owners, kind)) return spec
  const found = upstreamsIn(`${owners[kind as Kind]}:${id}`, plugins, catalogue)
  return found.length === 0 ? spec : { ...spec, policy_upstreams: found }
}

/** The same for all resources of a plan, in place. */
export function addPolicyUpstreams(plan: PlanResources, catalogue: Catalogue): void {
  for (const kind of kinds) {
    const specs = plan[kind] as Map<string, { plugins?: Plugins }>
    for (const [id, spec] of specs) specs.set(id, withPolicyUpstreams(kind, id, spec, catalogue))
  }
}

/** The upstreams in a configuration, with where they stand. */
export function* upstreamsAt(
  schema: object,
  config: unknown,
): Generator<{ input: UpstreamInput; path: readonly PathSegment[] }> {
  for (const { setting, value, path } of annotatedValues(schema, config, upstreamAnnotation)) {
    const input =
      typeof setting === 'function' ? (setting as Derivation)(value as never) : (value as UpstreamInput)
    if (input !== undefined) yield { input, path }
  }
}

function upstreamsIn(owner: string, plugins: Plugins, catalogue: Catalogue): UpstreamSpec[] {
  const found: UpstreamSpec[] = []
  for (const [name, config] of Object.entries(plugins)) {
    const policy = catalogue.get(name)
    if (policy === undefined || config._meta?.disable === true) continue
    for (const { input: written, path } of upstreamsAt(policy.configSchema, config)) {
      const { id: _, ...input } = written
      found.push(upstreamSpec(policyUpstreamKey(owner, name, path), input))
    }
  }
  return found
}
