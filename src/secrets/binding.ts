/** Puts the values of secrets into the configuration of policies, on a copy that only data threads see. */
import type { ZonePlaces } from '../config/cache-zones.ts'
import { certificateOf } from '../config/certificate.ts'
import type {
  ConsumerSpec,
  PluginConfig,
  PluginMeta,
  Plugins,
  ResourceKind,
  SslSpec,
} from '../config/plan.ts'
import { type Catalogue, type PolicyPart, resolvedProblem } from '../config/policy-check.ts'
import {
  holdsSecretReference,
  replaceSecretReferences,
  secretReferencesIn,
} from '../config/secret-reference.ts'

/** Kinds of resource that hold configurations of policies, and certificates. */
export const referringKinds = [
  'services',
  'plugin_configs',
  'plugin_metadata',
  'consumer_groups',
  'consumers',
  'global_rules',
  'routes',
  'stream_routes',
  'ssls',
] as const satisfies readonly ResourceKind[]

export type ReferringKind = (typeof referringKinds)[number]

export interface Referring {
  readonly id?: string
  readonly username?: string
  readonly plugins?: Plugins
  readonly credentials?: ConsumerSpec['credentials']
  readonly pairs?: SslSpec['pairs']
  readonly client?: SslSpec['client']
}

/** Whether there is any reference in a resource that counts; the quick answer, because nearly none has. */
export function refersToSecrets({ plugins, credentials, pairs, client }: Referring): boolean {
  if (pairs !== undefined) return holdsSecretReference(pairs) || holdsSecretReference(client)
  for (const name in plugins) if (concerns(plugins[name])) return true
  if (credentials === undefined) return false
  return credentials.some((credential) => Object.values(credential.plugins).some(concerns))
}

/** Every reference of a resource, each once; those of policies that are switched off do not count. */
export function referencesOf({ plugins, credentials = [], pairs, client }: Referring): Set<string> {
  const found = new Set<string>()
  for (const { text } of secretReferencesIn([pairs, client])) found.add(text)
  for (const set of [plugins, ...credentials.map((credential) => credential.plugins)]) {
    for (const name in set) {
      if (!concerns(set[name])) continue
      for (const { text } of secretReferencesIn(set[name])) found.add(text)
    }
  }
  return found
}

/** Undefined: the reference has no value. */
export type LookUp = (text: string) => string | undefined

/** Tells that a value does not fit: the policy, and the problem in words that hold no value. */
export type Misfit = (policy: string, problem: string) => void

export interface BindOptions {
  lookUp: LookUp
  catalogue: Catalogue
  /** Where the gateway stores answers. */
  zones: ZonePlaces
  misfit: Misfit
}

/**
 * The resource with values in place of references. Where one is missing, or does not fit, nothing is left of the
 * configuration but its envelope, which says so: a reference must never pass for what it refers to.
 */
export function bindResource<T extends Referring>(
  kind: ReferringKind,
  resource: T,
  { lookUp, catalogue, zones, misfit }: BindOptions,
): T {
  if (resource.pairs !== undefined) return bindCertificate(resource, lookUp, misfit)
  const bind = (plugins: Plugins, part: (name: string) => PolicyPart): Plugins => {
    const bound: Plugins = {}
    for (const [name, config] of Object.entries(plugins)) {
      bound[name] = concerns(config)
        ? bindConfig(config, lookUp, (resolved) => {
            const policy = catalogue.get(name)
            const problem = policy && resolvedProblem(policy, part(name), resolved, zones)
            if (problem !== undefined) misfit(name, problem)
            return problem === undefined
          })
        : config
    }
    return bound
  }
  const identifies = (name: string) => catalogue.get(name)?.credentialSchema !== undefined
  const partOf = (name: string): PolicyPart => {
    if (kind === 'plugin_metadata') return 'metadata'
    return kind === 'consumers' && identifies(name) ? 'credential' : 'binding'
  }
  return {
    ...resource,
    ...(resource.plugins !== undefined && { plugins: bind(resource.plugins, partOf) }),
    ...(resource.credentials !== undefined && {
      credentials: resource.credentials.map((credential) => ({
        ...credential,
        plugins: bind(credential.plugins, () => 'credential'),
      })),
    }),
  }
}

/** Where a secret is missing, or is no certificate, nothing is left to show: handshakes that ask for it fail. */
function bindCertificate<T extends Referring>(resource: T, lookUp: LookUp, misfit: Misfit): T {
  let missing = false
  const resolve = (value: unknown) =>
    replaceSecretReferences(value, (text) => {
      const found = lookUp(text)
      missing ||= found === undefined
      return found ?? ''
    })
  const pairs = resolve(resource.pairs) as SslSpec['pairs']
  const client = resolve(resource.client) as SslSpec['client']
  const texts = [...pairs.map(({ cert }) => cert), ...(client === undefined ? [] : [client.ca])]
  const sound = !missing && texts.every((text) => certificateOf(text) !== undefined)
  if (!sound && !missing) misfit('', 'it is no certificate in PEM')
  return { ...resource, pairs: sound ? pairs : [], ...(client !== undefined && { client }) }
}

function bindConfig(
  config: PluginConfig,
  lookUp: LookUp,
  fits: (resolved: PluginConfig) => boolean,
): PluginConfig {
  const { _meta: meta } = config
  let missing = false
  const resolved = replaceSecretReferences(config, (text) => {
    const value = lookUp(text)
    missing ||= value === undefined
    return value ?? ''
  }) as PluginConfig
  if (missing || !fits(resolved)) return { _meta: withoutReferences(meta, 'missing') }
  return { ...resolved, _meta: { ...resolved._meta, secrets: 'present' } }
}

function withoutReferences(meta: PluginMeta | undefined, secrets: 'missing'): PluginMeta {
  const kept = Object.entries(meta ?? {}).filter(([, value]) => !holdsSecretReference(value))
  return { ...Object.fromEntries(kept), secrets }
}

const concerns = (config: PluginConfig | undefined): config is PluginConfig =>
  config !== undefined && config._meta?.disable !== true && holdsSecretReference(config)
