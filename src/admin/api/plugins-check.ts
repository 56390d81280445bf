/** The plugins of one resource against the catalogue, in the order and with the words of APISIX. */
import type { ZonePlaces } from '../../config/cache-zones.ts'
import type { CredentialOwner } from '../../config/credential-owners.ts'
import { parseExpression } from '../../config/expression.ts'
import type { PluginConfig, Plugins } from '../../config/plan.ts'
import {
  type Catalogue,
  configSchemaFor,
  identifyingField,
  type PluginsRole,
  type PolicySchema,
  withoutUnknown,
} from '../../config/policy-check.ts'
import type { PathSegment } from '../../config/problem.ts'
import { metaSchema } from '../../config/resources.ts'
import { checkSchema } from '../../config/schema.ts'
import { holdsSecretReference } from '../../config/secret-reference.ts'
import type { Surroundings } from './resource-check.ts'
import { schemaError } from './wording.ts'

/** What policies are checked against. */
export interface PolicyGround {
  readonly catalogue: Catalogue
  /** Of the running gateway. */
  readonly zones: ZonePlaces
  /** What is said besides of one that is not in the catalogue. */
  readonly ofUnknown?: string
}

/** The first thing that is wrong; undefined: nothing, and every default is filled in, in place. */
export function pluginsError(
  plugins: Record<string, unknown>,
  role: PluginsRole,
  ground: PolicyGround,
): string | undefined {
  for (const [name, config] of Object.entries(plugins)) {
    if (typeof config !== 'object' || config === null) {
      return `invalid plugin conf ${JSON.stringify(config)} for plugin [${name}]`
    }
    const policy = ground.catalogue.get(name)
    if (
      policy === undefined ||
      (role === 'stream' ? policy.stream === undefined : policy.stream?.only === true)
    )
      return `unknown plugin [${name}]${ground.ofUnknown === undefined ? '' : `: ${ground.ofUnknown}`}`
    const fault = configError(policy, plugins, config as PluginConfig, role, ground)
    if (fault !== undefined) {
      return role === 'stream'
        ? `failed to check the configuration of stream plugin [${name}]: ${fault}`
        : `failed to check the configuration of plugin ${name} err: ${fault}`
    }
    const read = parseExpression((config as PluginConfig)._meta?.filter ?? [])
    if ('problem' in read) return `failed to validate the 'vars' expression: ${read.problem}`
  }
  return undefined
}

function configError(
  policy: PolicySchema,
  plugins: Record<string, unknown>,
  config: PluginConfig,
  role: PluginsRole,
  ground: PolicyGround,
): string | undefined {
  const { _meta: meta, ...own } = config
  const metaFault = meta === undefined ? undefined : schemaError(metaSchema, meta)
  if (metaFault !== undefined) return `property "_meta" validation failed: ${metaFault}`
  // APISIX lets a configuration that is switched off be invalid.
  if (meta?.disable === true) return undefined
  const credentials = role === 'consumer' || role === 'credential' ? policy.credentialSchema : undefined
  const schema = credentials ?? configSchemaFor(policy, role)
  // Most plugins of APISIX let fields be that they do not know.
  const problems = checkSchema(schema, own, { references: true })
  const tolerated = problems.filter(({ code, path }) => code === 'unknown-field' && !isClosed(schema, path))
  if (tolerated.length > 0) withoutUnknown(own, tolerated)
  const fault = schemaError(schema, own, { references: true })
  if (fault !== undefined) return policy.wording?.(fault, own) ?? fault
  // What a configuration with references means is judged when the secrets are known.
  const judged = holdsSecretReference(own) ? undefined : own
  const meaning =
    credentials === undefined
      ? judged && policy.validate?.(judged, ground.zones)
      : judged && policy.validateCredential?.(judged)
  if (meaning !== undefined) return policy.wording?.(meaning, own) ?? meaning
  const inner = credentials === undefined ? nestedError(policy, own, ground) : undefined
  if (inner === undefined) plugins[policy.name] = meta === undefined ? own : { ...own, _meta: meta }
  return inner
}

/** Whether the map that a field stands in is closed in APISIX's schema too. */
function isClosed(schema: object, path: readonly PathSegment[]): boolean {
  let holder: ClosedSchema | undefined = schema
  for (const segment of path.slice(0, -1)) {
    holder = typeof segment === 'number' ? holder?.items : holder?.properties?.[segment]
  }
  return holder?.['x-apisix']?.additionalProperties === false
}

interface ClosedSchema {
  readonly properties?: Readonly<Record<string, ClosedSchema | undefined>>
  readonly items?: ClosedSchema
  readonly 'x-apisix'?: { readonly additionalProperties?: boolean }
}

/** Of policies inside the configuration of another. */
function nestedError(policy: PolicySchema, config: PluginConfig, ground: PolicyGround): string | undefined {
  for (const { plugins, identify, wording } of policy.nested?.(config) ?? []) {
    for (const [name, inner] of Object.entries(plugins)) {
      const known = ground.catalogue.get(name)
      if (known === undefined) return `${name} plugin did not found`
      if (identify && !known.identify) return `${name} plugin is not supported`
      const isMap = typeof inner === 'object' && inner !== null
      const fault = isMap
        ? configError(known, plugins, inner, 'binding', ground)
        : schemaError(known.configSchema, inner)
      if (fault !== undefined) return wording?.(fault) ?? `plugin ${name} check schema failed: ${fault}`
    }
  }
  return undefined
}

/**
 * A credential may belong to one consumer only. A consumer is not in conflict with credentials of its own, a credential
 * only not with itself.
 */
export function duplicateCredential(
  plugins: Plugins,
  owner: CredentialOwner,
  { ownersOf }: Pick<Surroundings, 'ownersOf'>,
  catalogue: Catalogue,
): string | undefined {
  for (const [name, config] of Object.entries(plugins)) {
    const policy = catalogue.get(name)
    const field = policy && identifyingField(policy)
    const value = field === undefined ? undefined : config[field]
    if (typeof value !== 'string' || field === undefined) continue
    for (const other of ownersOf(name, value)) {
      if (other.username === owner.username && (owner.credential ?? other.credential) === other.credential)
        continue
      const place = other.credential === undefined ? '' : `credential: ${other.credential} of `
      return `duplicate ${field} of plugin ${name} found with ${place}consumer: ${other.username}`
    }
  }
  return undefined
}
