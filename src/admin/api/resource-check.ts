/** One resource, as a client of the Admin API wrote it -> what the configuration holds, or APISIX's words for why not. */

import { addressProblem } from '../../config/addresses.ts'
import { apisixError } from '../../config/apisix-wording.ts'
import { certificateError, pairError } from '../../config/certificate.ts'
import { checkHeld } from '../../config/check.ts'
import type { Configuration } from '../../config/configuration.ts'
import { copy } from '../../config/copy.ts'
import type { CredentialOwner } from '../../config/credential-owners.ts'
import type { Inputs } from '../../config/declarations.ts'
import { parseExpression } from '../../config/expression.ts'
import { keptSchemas } from '../../config/kept-resources.ts'
import { luaFieldOf } from '../../config/lua.ts'
import type { PluginConfig, Plugins, ResourceKind } from '../../config/plan.ts'
import { type PluginsRole, withoutUnknown } from '../../config/policy-check.ts'
import { readProto } from '../../config/proto/proto-content.ts'
import {
  type CredentialInput,
  costDecorationSchema,
  credentialSchema,
  resourceSchemas,
} from '../../config/resources.ts'
import { checkSchema } from '../../config/schema.ts'
import { secretManagerKind, secretManagerSchemas } from '../../config/secret-managers.ts'
import { caCertificateError, isCertificateKind, sniError, sslOf } from '../../config/sni-resources.ts'
import type { TSchema } from '../../config/type.ts'
import { duplicateCredential, type PolicyGround, pluginsError } from './plugins-check.ts'
import type { Target } from './target.ts'
import { upstreamError } from './upstream-check.ts'
import { schemaError } from './wording.ts'

type Value = Record<string, unknown>

/** `input` has the defaults filled in. */
export type Checked = { input: object } | { error: unknown }

/** What a resource is checked against. */
export interface Surroundings {
  /** Whether there is a resource of this kind to refer to. */
  exists(kind: ResourceKind, id: string): boolean
  /** Who identifies with this value to this policy. */
  ownersOf(policy: string, value: string): Iterable<CredentialOwner>
  globalRules(): Iterable<readonly [id: string, rule: { plugins: Plugins }]>
  /** Whether another resource shares the state of this configuration, and has another one. */
  conflicts(policy: string, config: Value): boolean
  /** Of the policy of that name. */
  metadata(policy: string): Value | undefined
  certificate(id: string): Inputs['ssls'] | undefined
  /** A stream route, or a resource that is not part of a plan. */
  kept(kind: string, id: string): object | undefined
  /** What a service says of the costs of GraphQL, by id. */
  decorationsOf(service: string): Iterable<readonly [id: string, decoration: { field_path: string }]>
}

/** `target`: what is to be replaced. */
export const surroundingsIn = (configuration: Configuration, target: Target): Surroundings => ({
  exists: (kind, id) => configuration.has(kind, id),
  ownersOf: (policy, value) => configuration.ownersOf(policy, value),
  globalRules: () => configuration.entries('global_rules'),
  conflicts: (policy, config) => configuration.conflicts(policy, config, `${target.kind.name}/${target.id}`),
  metadata: (policy) => configuration.get('plugin_metadata', policy),
  certificate: (id) => configuration.get('ssls', id),
  kept: (kind, id) => (kind === 'stream_routes' ? configuration.get(kind, id) : configuration.kept(kind, id)),
  decorationsOf: (service) => configuration.decorationsOf(service),
})

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
const isMap = (value: unknown): value is Value => isObject(value) && !Array.isArray(value)

function luaError(input: Value): string | undefined {
  const field = luaFieldOf(input)
  return field && `the field ${field.name} holds Lua, which does not run here. ${field.instead}`
}

function varsError(vars: unknown): string | undefined {
  const result = vars === undefined ? undefined : parseExpression(vars)
  return result !== undefined && 'problem' in result
    ? `failed to validate the 'vars' expression: ${result.problem}`
    : undefined
}

export class ResourceCheck {
  readonly #ground: PolicyGround

  constructor(ground: PolicyGround) {
    this.#ground = ground
  }

  /** `value` carries its id, and is left as it is. */
  check(target: Target, value: Value, around: Surroundings): Checked {
    const input = copy(value)
    const error = this.#errorOf(target, input, around) ?? this.#beyondItself(input, around)
    return error === undefined ? this.#secondOpinion(target, value, input, around) : { error }
  }

  /** By the rules that hold at every start, in our own words. What they make of the value is what is put to work. */
  #secondOpinion(target: Target, value: Value, input: Value, around: Surroundings): Checked {
    const { section, item } = heldAs(target, value, around)
    if (section === undefined) return { input }
    const checked = checkHeld(section, item, this.#ground.catalogue, this.#ground.zones)
    if (!('finding' in checked)) return { input: kindOfPlan(target) ? (checked.input ?? input) : input }
    const { path, message } = checked.finding
    return {
      error: `invalid configuration: ${path === '' ? '' : `property "${path}" validation failed: `}${message}`,
    }
  }

  /** What policies say beside others, and beside their metadata. */
  #beyondItself({ plugins }: Value, around: Surroundings): string | undefined {
    if (!isMap(plugins)) return undefined
    for (const [name, config] of Object.entries(plugins)) {
      if (!isMap(config) || (config as PluginConfig)._meta?.disable === true) continue
      const fault = around.conflicts(name, config)
        ? 'group conf mismatched'
        : this.#ground.catalogue.get(name)?.lacks?.(config, around.metadata(name))
      if (fault !== undefined) return `failed to check the configuration of plugin ${name} err: ${fault}`
    }
    return undefined
  }

  #errorOf(target: Target, input: Value, around: Surroundings): string | undefined {
    switch (target.kind.name) {
      case 'routes':
        return this.#routeError(input, around)
      case 'services':
        return (
          luaError(input) ??
          formError(resourceSchemas.services, input) ??
          upstreamError(input.upstream, around) ??
          references(input, ['upstream_id'], around) ??
          this.#plugins(input, input.type === 'stream' ? 'stream' : 'binding')
        )
      case 'upstreams':
        return upstreamError(input, around)
      case 'consumers':
        return this.#consumerError(target, input, around)
      case 'credentials':
        return this.#credentialError(target, input, around)
      case 'graphql_cost_decorations':
        return decorationError(target, input, around)
      case 'global_rules':
        return (
          formError(resourceSchemas.global_rules, input) ??
          this.#plugins(input) ??
          ruleConflict(input as Inputs['global_rules'], around)
        )
      case 'plugin_configs':
        return formError(resourceSchemas.plugin_configs, input) ?? this.#plugins(input)
      case 'consumer_groups':
        return formError(resourceSchemas.consumer_groups, input) ?? this.#plugins(input, 'group')
      case 'plugin_metadata':
        return this.#metadataError(target.id, input)
      case 'secrets':
        return secretManagerError(input)
      case 'contracts':
        return (
          invalid(schemaError(resourceSchemas.contracts, input)) ??
          references(input, ['service_id', 'route_id'], around)
        )
      case 'ssls':
        return (
          invalid(schemaError(resourceSchemas.ssls, input, { references: true })) ?? certificateError(input)
        )
      case 'certificates':
        return (
          invalid(schemaError(keptSchemas.certificates, input, { references: true })) ??
          pairError(input.cert as string, input.key as string)
        )
      case 'ca_certificates':
        return invalid(schemaError(keptSchemas.ca_certificates, input)) ?? caCertificateError(input)
      case 'snis':
        return (
          invalid(schemaError(keptSchemas.snis, input, { references: true })) ?? sniError(input, around.kept)
        )
      case 'protos':
        return invalid(schemaError(resourceSchemas.protos, input)) ?? protoError(input as Inputs['protos'])
      case 'stream_routes':
        return this.#streamRouteError(target, input, around)
      default:
        return undefined
    }
  }

  #streamRouteError({ id }: Target, input: Value, around: Surroundings): string | undefined {
    const { upstream, protocol } = input as { upstream?: unknown; protocol?: Value }
    const fault =
      addressError(input) ??
      formError(resourceSchemas.stream_routes, input) ??
      references(input, ['upstream_id', 'service_id'], around)
    if (fault !== undefined) return fault
    const superior = protocol?.superior_id
    if (superior !== undefined) {
      if (id !== undefined && String(superior) === id) return 'stream route can not set itself as superior_id'
      const above = around.kept('stream_routes', String(superior)) as { protocol?: Value } | undefined
      if (above === undefined) return `failed to fetch stream routes[${superior}], response code: 404`
      if (above.protocol !== undefined && above.protocol.name !== protocol?.name) {
        return `protocol mismatch: subordinate protocol [${protocol!.name}] does not match superior protocol [${above.protocol.name}]`
      }
    }
    return upstreamError(upstream, around) ?? this.#plugins(input, 'stream')
  }

  #routeError(input: Value, around: Surroundings): string | undefined {
    for (const field of ['host', 'remote_addr']) {
      if (input[field] !== undefined && input[`${field}s`] !== undefined) {
        return `only one of ${field} or ${field}s is allowed`
      }
    }
    return (
      luaError(input) ??
      formError(resourceSchemas.routes, input) ??
      upstreamError(input.upstream, around) ??
      references(input, ['upstream_id', 'service_id', 'plugin_config_id'], around) ??
      this.#plugins(input) ??
      varsError(input.vars)
    )
  }

  #consumerError({ id }: Target, input: Value, around: Surroundings): string | undefined {
    const fault = formError(resourceSchemas.consumers, input)
    if (fault !== undefined) return fault
    const { username, plugins } = input as Inputs['consumers']
    if (id !== undefined && id !== username) return 'wrong username'
    if (plugins === undefined) return references(input, ['group_id'], around)
    const pluginFault = pluginsError(plugins, 'consumer', this.#ground)
    if (pluginFault !== undefined) return `invalid plugins configuration: ${pluginFault}`
    return (
      duplicateCredential(plugins, { username }, around, this.#ground.catalogue) ??
      references(input, ['group_id'], around)
    )
  }

  #credentialError({ id, consumer }: Target, input: Value, around: Surroundings): string | undefined {
    const fault = formError(credentialSchema, input)
    if (fault !== undefined) return fault
    const { plugins } = input as unknown as CredentialInput
    const pluginFault = pluginsError(plugins, 'credential', this.#ground)
    if (pluginFault !== undefined) return `invalid plugins configuration: ${pluginFault}`
    for (const name of Object.keys(plugins)) {
      if (this.#ground.catalogue.get(name)?.credentialSchema === undefined) {
        return 'only supports auth type plugins in consumer credential'
      }
    }
    const owner = { username: consumer!, credential: id! }
    return duplicateCredential(plugins, owner, around, this.#ground.catalogue)
  }

  #metadataError(name: string | undefined, input: Value): string | undefined {
    if (name === undefined) return 'missing plugin name'
    const policy = this.#ground.catalogue.get(name)
    if (policy === undefined) return 'invalid plugin name'
    const { id: _, ...metadata } = input
    // As for configurations of policies: APISIX lets fields be that it does not know.
    if (policy.metadataSchema !== undefined) {
      withoutUnknown(metadata, checkSchema(policy.metadataSchema, metadata, { references: true }))
    }
    const fault =
      policy.metadataSchema && invalid(schemaError(policy.metadataSchema, metadata, { references: true }))
    if (fault === undefined) Object.assign(input, metadata, { id: name })
    return fault
  }

  #plugins({ plugins }: Value, role: PluginsRole = 'binding'): string | undefined {
    return isMap(plugins) ? pluginsError(plugins as Plugins, role, this.#ground) : undefined
  }
}

/** As what a resource is checked at a start; without a section: as nothing. */
function heldAs({ kind, consumer, service, id }: Target, value: Value, { kept }: Surroundings) {
  if (consumer !== undefined) {
    return { section: 'consumers', item: { ...value, id: `${consumer}/credentials/${id}` } } as const
  }
  if (kind.name === 'graphql_cost_decorations') {
    return { section: 'services', item: { ...value, id: `${service}/${kind.name}/${id}` } } as const
  }
  const ssl = isCertificateKind(kind.name) ? sslOf(kind.name, value, kept) : undefined
  return ssl === undefined
    ? { section: kind.plan, item: value }
    : ({ section: 'ssls', item: { ...ssl } } as const)
}

const kindOfPlan = ({ kind, consumer }: Target) => consumer !== undefined || kind.plan !== undefined

function secretManagerError(input: Value): string | undefined {
  const id = String(input.id)
  const kind = secretManagerKind(id)
  if (kind === undefined) return `invalid secret manager: ${id.split('/', 1)[0]}`
  return invalid(schemaError(secretManagerSchemas[kind], input, { references: true }))
}

/** Each place in the schema once. The service is the one of the path. */
function decorationError(
  { id, service }: Target,
  input: Value,
  { decorationsOf }: Surroundings,
): string | undefined {
  const { service_id: owner } = input
  delete input.service_id
  if (owner !== undefined && String(owner) !== service) return 'wrong service_id, it is taken from the path'
  const fault = invalid(schemaError(costDecorationSchema, input))
  if (fault !== undefined) return fault
  for (const [other, { field_path: path }] of decorationsOf(service!)) {
    if (path !== input.field_path || other === id) continue
    return `field_path ${path} is already decorated on this service by [${other}]`
  }
  return undefined
}

/** Texts that APISIX's schema takes for an address, and that are none. */
function addressError(input: Value): string | undefined {
  if (apisixError(resourceSchemas.stream_routes, input) !== undefined) return undefined
  for (const field of ['remote_addr', 'server_addr']) {
    const address = input[field]
    if (typeof address === 'string' && addressProblem(address) !== undefined)
      return `invalid ${field}: ${address}`
  }
  return undefined
}

function protoError({ content }: Inputs['protos']): string | undefined {
  const read = readProto(content)
  return 'problem' in read ? `invalid content: ${read.problem}` : undefined
}

const invalid = (fault: string | undefined) => fault && `invalid configuration: ${fault}`

/** A plugin's configuration that is no map is left to the check of plugins, which has APISIX's words for that. */
function formError(schema: TSchema, input: Value): string | undefined {
  const { plugins } = input
  if (!isMap(plugins) || Object.values(plugins).every(isObject)) return invalid(schemaError(schema, input))
  const others = Object.entries(plugins).filter(([, config]) => isObject(config))
  return invalid(schemaError(schema, { ...input, plugins: Object.fromEntries(others) }))
}

const referred = {
  upstream_id: ['upstreams', 'upstream'],
  service_id: ['services', 'service'],
  route_id: ['routes', 'route'],
  plugin_config_id: ['plugin_configs', 'plugin config'],
  group_id: ['consumer_groups', 'consumer group'],
} as const

function references(
  input: Value,
  fields: readonly (keyof typeof referred)[],
  { exists }: Surroundings,
): string | undefined {
  for (const field of fields) {
    const id = input[field]
    if (id === undefined) continue
    const [kind, noun] = referred[field]
    if (!exists(kind, String(id))) {
      return `failed to fetch ${noun} info by ${noun} id [${id}], response code: 404`
    }
  }
  return undefined
}

function ruleConflict(
  { id, plugins }: Inputs['global_rules'],
  { globalRules }: Surroundings,
): string | undefined {
  for (const [otherId, other] of globalRules()) {
    if (otherId === String(id)) continue
    const name = Object.keys(plugins).find((name) => Object.hasOwn(other.plugins, name))
    if (name !== undefined) return `plugin '${name}' already exists in global rule with id '${otherId}'`
  }
  return undefined
}
