/** The `plugins` of any resource against the catalogue: every policy known, its configuration right and filled in. */
import type { TObject } from 'typebox'
import { annotatedValues } from './annotated-values.ts'
import type { ZonePlaces } from './cache-zones.ts'
import { equal } from './copy.ts'
import { checkExpression } from './expression-check.ts'
import type { SourceDocument } from './load.ts'
import { nearest } from './nearest.ts'
import { functionAnnotation, resolveEntry } from './own-functions.ts'
import type { PluginConfig, PluginMeta, Plugins, ResourceKind } from './plan.ts'
import { upstreamsAt } from './policy-upstreams.ts'
import type { PathSegment } from './problem.ts'
import { below, describePlace, type Place, type Report } from './report.ts'
import { metaSchema, type UpstreamInput } from './resources.ts'
import { checkSchema, type SchemaProblem } from './schema.ts'
import { holdsSecretReference, isSecretReference, secretReferencesIn } from './secret-reference.ts'

/** The part of a policy that configuration is checked against. */
export interface PolicySchema {
  readonly name: string
  /** Higher runs first within its stage. */
  readonly priority?: number
  /** Of APISIX's policy of this name. Default: 0.1. */
  readonly version?: number
  readonly configSchema: TObject
  /** What a consumer carries for it. */
  readonly credentialSchema?: TObject
  /** The field of a credential that tells consumers apart; by default the first that is required. */
  readonly credentialKey?: string
  readonly metadataSchema?: TObject
  /** True when the policy establishes who is calling. */
  readonly identify: boolean
  /** How it takes part in TCP and UDP sessions; absent: it does not. */
  readonly stream?: StreamSchema
  /** Whether it answers in place of the route's upstream, or chooses another; for a configuration that fits the schema. */
  answers?(config: PluginConfig): boolean
  /**
   * What the schema cannot say, for a configuration that fits it: the finding in one sentence. `zones` are those of the
   * gateway that it is for.
   */
  validate?(config: PluginConfig, zones: ZonePlaces): string | undefined
  /** What a configuration lacks when it stands beside this metadata. */
  lacks?(config: PluginConfig, metadata: PluginConfig | undefined): string | undefined
  /** What the Admin API says in place of the `fault` that APISIX's schema finds in a configuration. */
  wording?(fault: string, config: PluginConfig): string | undefined
  /** `validate`, for what a consumer carries. */
  validateCredential?(credential: PluginConfig): string | undefined
  /** Configurations with the same answer share one state and have to be equal. */
  sharedState?(config: PluginConfig): string | undefined
  /** Configurations of other policies that stand inside one of this. */
  nested?(config: PluginConfig): readonly NestedPlugins[]
}

export interface StreamSchema {
  readonly priority: number
  readonly configSchema: TObject
  /** It does nothing for requests. */
  readonly only: boolean
}

/** Policies that another one runs, in its configuration. */
export interface NestedPlugins {
  /** Where the map stands. */
  readonly path: readonly PathSegment[]
  readonly plugins: Plugins
  /** Only policies that find out who is calling may stand there. */
  readonly identify: boolean
  /** What the Admin API says of a fault in one of them; default: in the words of APISIX's `multi-auth`. */
  wording?(fault: string): string
}

export type Catalogue = ReadonlyMap<string, PolicySchema>

/** The field of a credential that tells consumers apart, if the policy has one. */
export const identifyingField = (policy: PolicySchema): string | undefined =>
  policy.credentialKey ?? policy.credentialSchema?.required?.[0]

/**
 * Where plugins stand: on a binding, on a stream route, on a consumer (its credentials too), on a group of consumers, or
 * in a credential (nothing but one).
 */
export type PluginsRole = 'binding' | 'stream' | 'consumer' | 'group' | 'credential'

/** A configuration of a policy, or a certificate, that refers to secrets, as it was written. */
export interface SecretUse {
  readonly text: string
  /** Of the reference. */
  readonly place: Place
  /** Absent: it is a certificate. */
  readonly policy?: PolicySchema
  readonly part?: PolicyPart
  /** With defaults, and with references. */
  readonly config: PluginConfig
}

/** A resource that the configuration of a policy names, in a field whose schema says so with `x-refers-to`. */
export interface ResourceUse {
  readonly kind: ResourceKind
  readonly id: string
  readonly place: Place
}

/** An upstream that stands in the configuration of a policy, in a field whose schema says so with `x-upstream`. */
export interface UpstreamUse {
  readonly input: UpstreamInput
  readonly place: Place
}

/** What of a policy a configuration is checked against. */
export type PolicyPart = 'binding' | 'credential' | 'metadata'

/**
 * What is wrong with a configuration once the secrets stand in it, in a few words that hold no value; undefined: nothing.
 * Defaults are filled in, in place.
 */
export function resolvedProblem(
  policy: PolicySchema,
  part: PolicyPart,
  config: PluginConfig,
  zones: ZonePlaces,
): string | undefined {
  const { _meta: _, ...own } = config
  const schema =
    part === 'binding'
      ? policy.configSchema
      : part === 'credential'
        ? policy.credentialSchema
        : policy.metadataSchema
  const [problem] = schema === undefined ? [] : checkSchema(schema, own)
  if (problem !== undefined) return `it ${problem.message}`
  // What a policy says itself about its configuration may quote it.
  const sound = part !== 'binding' || policy.validate?.(own, zones) === undefined
  return sound ? undefined : 'the policy does not take it'
}

/** Whether policies of that document may start a program, by the name that stands there. */
type MayStart = (command: string, document: SourceDocument) => boolean

export class PolicyCheck {
  /** Every reference to a secret that was found. */
  readonly secrets: SecretUse[] = []
  /** Every resource that is named. */
  readonly resources: ResourceUse[] = []
  /** Every upstream that stands in a policy. */
  readonly upstreams: UpstreamUse[] = []
  readonly #catalogue: Catalogue
  readonly #report: Report
  readonly #zones: ZonePlaces
  readonly #mayStart: MayStart
  readonly #credentials = new Map<string, { owner: string; place: Place }>()
  /** Where policies stand that may lack something of their metadata. */
  readonly #lacking: { policy: PolicySchema; config: PluginConfig; place: Place }[] = []
  readonly #shared = new Map<string, { config: PluginConfig; place: Place }>()

  /** `zones`: of the same configuration. */
  constructor(catalogue: Catalogue, zones: ZonePlaces, report: Report, mayStart: MayStart = () => false) {
    this.#catalogue = catalogue
    this.#mayStart = mayStart
    this.#report = report
    this.#zones = zones
  }

  /** Checks in place: defaults are filled in. `owner` is the consumer whose credentials these are, if any. */
  check(plugins: Plugins, place: Place, role: PluginsRole, owner = ''): void {
    if (role === 'credential') this.#checkCount(plugins, place)
    for (const name of Object.keys(plugins)) {
      const at = below(place, name)
      const policy = this.#catalogue.get(name)
      if (policy === undefined) this.#unknown(name, at)
      else this.#checkOne(name, policy, plugins, at, role, owner)
    }
  }

  /** An item of `plugin_metadata`, without its id. */
  checkMetadata(name: string, metadata: Record<string, unknown>, place: Place): void {
    const policy = this.#catalogue.get(name)
    if (policy === undefined) this.#unknown(name, below(place, 'id'))
    else if (policy.metadataSchema === undefined) {
      this.#report.add(place, {
        code: 'ignored-field',
        message: `the policy ${name} takes no metadata: it would have no effect`,
      })
    } else if (this.#problems(policy.metadataSchema, metadata, place)) {
      this.#noteSecrets(policy, 'metadata', metadata, place)
    }
  }

  /** Once all metadata is known: what neither it nor a configuration has. */
  checkLacks(metadataOf: (policy: string) => PluginConfig | undefined): void {
    for (const { policy, config, place } of this.#lacking) {
      const message = policy.lacks!(config, metadataOf(policy.name))
      if (message !== undefined) this.#report.add(place, { code: 'missing-metadata', message })
    }
  }

  #checkCount(plugins: Plugins, place: Place): void {
    if (Object.keys(plugins).length === 1) return
    this.#report.add(place, {
      code: 'invalid-value',
      message: 'a credential holds exactly one authentication policy',
      hint: 'Make one credential for each way in which the consumer identifies itself.',
    })
  }

  #checkOne(
    name: string,
    policy: PolicySchema,
    plugins: Plugins,
    place: Place,
    role: PluginsRole,
    owner: string,
  ): void {
    const config = plugins[name] as PluginConfig
    const { _meta: meta, ...own } = config
    const soundMeta = meta === undefined || this.#checkMeta(meta, below(place, '_meta'))
    // APISIX lets a configuration that is switched off be invalid.
    if (meta?.disable === true) return
    const isCredential =
      (role === 'consumer' || role === 'credential') && policy.credentialSchema !== undefined
    if (role === 'credential' && !isCredential) {
      this.#report.add(place, {
        code: 'invalid-value',
        at: 'key',
        message: `${policy.name} does not identify a consumer`,
        hint: 'A credential holds an authentication policy.',
      })
      return
    }
    if (role === 'stream' && policy.stream === undefined) {
      this.#notOnStreams(policy.name, place)
      return
    }
    if (role !== 'stream' && policy.stream?.only === true) this.#onlyOnStreams(policy.name, place)
    const schema = isCredential ? policy.credentialSchema! : configSchemaFor(policy, role)
    if (!this.#problems(schema, own, place)) return
    if (!soundMeta) return
    const hasSecrets = this.#noteSecrets(policy, isCredential ? 'credential' : 'binding', config, place)
    if (policy.identify && !isCredential && role !== 'binding') this.#tooLate(policy.name, role, place)
    if (isCredential && meta !== undefined) this.#metaOfCredential(meta, below(place, '_meta'))
    if (isCredential) this.#checkUnique(policy, own, place, owner)
    else {
      this.#noteResources(policy, own, place)
      this.#findFunctions(policy, own, place)
    }
    if (!isCredential && !hasSecrets) this.#checkMeaning(policy, own, place)
    if (!isCredential) this.#checkNested(policy, own, place)
    if (isCredential && !hasSecrets) {
      const message = policy.validateCredential?.(own)
      if (message !== undefined) this.#report.add(place, { code: 'invalid-value', message })
    }
    // `_meta` goes last, so that a configuration reads the same whether it has one or not.
    plugins[name] = meta === undefined ? own : { ...own, _meta: meta }
  }

  /** True: it is sound. */
  #checkMeta(meta: PluginMeta, place: Place): boolean {
    if (!this.#problems(metaSchema, meta, place)) return false
    return meta.filter === undefined || checkExpression(meta.filter, below(place, 'filter'), this.#report)
  }

  #metaOfCredential(meta: PluginMeta, place: Place): void {
    for (const field of Object.keys(meta)) {
      if (field === 'disable') continue
      this.#report.add(below(place, field), {
        code: 'ignored-field',
        severity: 'warning',
        at: 'key',
        message: 'what a consumer identifies itself with does not run, so that this has no effect here',
        hint: 'Give it to the policy of the route or of its service.',
      })
    }
  }

  /** True: none. */
  #problems(schema: TObject, value: unknown, place: Place): boolean {
    const problems = checkSchema(schema, value, { references: true })
    for (const { path, ...entry } of problems) this.#report.add(below(place, ...path), entry)
    if (!this.#report.tolerates(place, 'unknown-field')) return problems.length === 0
    return withoutUnknown(value, problems).length === 0
  }

  #noteResources({ configSchema }: PolicySchema, config: PluginConfig, place: Place): void {
    for (const { setting, value, path } of annotatedValues(configSchema, config, 'x-refers-to')) {
      if (typeof value !== 'number' && (typeof value !== 'string' || isSecretReference(value))) continue
      this.resources.push({
        kind: setting as ResourceKind,
        id: String(value),
        place: below(place, ...path),
      })
    }
    for (const { value, path } of annotatedValues(configSchema, config, 'x-command')) {
      if (this.#mayStart(String(value), place.document)) continue
      this.#report.add(below(place, ...path), {
        code: 'invalid-value',
        message: 'names a program that the gateway may not start',
        hint: 'Programs run with the rights of the gateway. Name it under gateway.commands if that is meant; what comes over an API may start none.',
      })
    }
    for (const { input, path } of upstreamsAt(configSchema, config))
      this.upstreams.push({ input, place: below(place, ...path) })
  }

  /** Puts what a plan says of a function in place of each entry that names one. */
  #findFunctions({ configSchema }: PolicySchema, config: PluginConfig, place: Place): void {
    for (const { value, path, setting } of [...annotatedValues(configSchema, config, functionAnnotation)]) {
      if (typeof value !== 'string') continue
      const kind = typeof setting === 'string' ? setting : (config.phase as string | undefined)
      const result = resolveEntry(place.document, value, kind)
      if ('key' in result) replaceAt(config, path, result.key)
      else this.#report.add(below(place, ...path), result)
    }
  }

  /** What it means is judged when the secrets are known. @returns whether there are any */
  #noteSecrets(policy: PolicySchema, part: PolicyPart, config: PluginConfig, place: Place): boolean {
    if (place.document.holdsReferences === false || !holdsSecretReference(config)) return false
    for (const { text, path } of secretReferencesIn(config)) {
      this.secrets.push({ text, place: below(place, ...path), policy, part, config })
    }
    return true
  }

  #checkMeaning(policy: PolicySchema, config: PluginConfig, place: Place): void {
    const message = policy.validate?.(config, this.#zones)
    if (message !== undefined) this.#report.add(place, { code: 'invalid-value', message })
    if (policy.lacks !== undefined) this.#lacking.push({ policy, config, place })
    const state = policy.sharedState?.(config)
    if (state === undefined) return
    const key = `${policy.name} ${state}`
    const other = this.#shared.get(key)
    if (other === undefined) this.#shared.set(key, { config, place })
    else if (!equal(other.config, config)) {
      this.#report.add(place, {
        code: 'conflicting-shared-state',
        message: `${policy.name} shares its state with ${describePlace(other.place)}, but is configured differently`,
        hint: 'Write the same configuration in both places, or let them not share.',
      })
    }
  }

  /** References to secrets in there are those of the policy around it. */
  #checkNested(policy: PolicySchema, config: PluginConfig, place: Place): void {
    for (const { path, plugins, identify } of policy.nested?.(config) ?? []) {
      for (const [name, inner] of Object.entries(plugins)) {
        const at = below(place, ...path, name)
        const known = this.#catalogue.get(name)
        if (known === undefined) this.#unknown(name, at)
        else if (identify && !known.identify) {
          const message = `${name} does not find out who is calling`
          this.#report.add(at, { code: 'invalid-value', at: 'key', message })
        } else if (this.#problems(known.configSchema, inner, at)) {
          this.#noteResources(known, inner, at)
          this.#findFunctions(known, inner, at)
          if (!holdsSecretReference(inner)) this.#checkMeaning(known, inner, at)
          this.#checkNested(known, inner, at)
        }
      }
    }
  }

  /** What belongs to a consumer runs when it is known who is calling. */
  #tooLate(name: string, role: PluginsRole, place: Place): void {
    this.#report.add(place, {
      code: 'ignored-field',
      severity: 'warning',
      at: 'key',
      message: `${name} finds out who is calling, which is over when the policies of a consumer${role === 'group' ? ' group' : ''} run: it has no effect here`,
      hint: 'Give it to the routes or to their service.',
    })
  }

  #checkUnique(policy: PolicySchema, credential: PluginConfig, place: Place, owner: string): void {
    const field = identifyingField(policy)
    const value = field === undefined ? undefined : credential[field]
    if (field === undefined || value === undefined) return
    if (typeof value === 'string' && isSecretReference(value)) return
    const key = `${policy.name} ${String(value)}`
    const other = this.#credentials.get(key)
    if (other === undefined) this.#credentials.set(key, { owner, place })
    else {
      this.#report.add(below(place, field), {
        code: 'duplicate-credential',
        message: `duplicate key of plugin ${policy.name} found with consumer: ${other.owner}`,
        hint: `The other one is ${describePlace(other.place)}. A credential may belong to one consumer only.`,
      })
    }
  }

  #onlyOnStreams(name: string, place: Place): void {
    this.#report.add(place, {
      code: 'wrong-protocol',
      severity: 'warning',
      at: 'key',
      message: `${name} is for streams, and has no effect on requests`,
      hint: 'Give it to a stream route.',
    })
  }

  #notOnStreams(name: string, place: Place): void {
    const names = [...this.#catalogue.values()].filter(({ stream }) => stream !== undefined)
    this.#report.add(place, {
      code: 'wrong-protocol',
      at: 'key',
      message: `${name} is for HTTP requests, and does not run on streams`,
      hint: `Those that do are ${names.map((policy) => policy.name).join(', ')}.`,
    })
  }

  #unknown(name: string, place: Place): void {
    const near = nearest(name, this.#catalogue.keys())
    this.#report.add(place, {
      code: 'unknown-policy',
      at: 'key',
      message: `there is no policy ${name}`,
      hint:
        absentPolicies[name] ??
        (near === undefined
          ? `The catalogue has ${[...this.#catalogue.keys()].join(', ')}.`
          : `Did you mean ${near}?`),
    })
  }
}

const runners = 'A policy of your own takes the place of a plugin runner (docs/guides/write-a-policy.md).'

/** Plugins of APISIX that have no counterpart, with what to do instead. */
const absentPolicies: Readonly<Record<string, string | undefined>> = {
  'kafka-proxy':
    'It signs in to brokers for the PubSub protocol of APISIX, which is not served here. Clients of Kafka itself reach brokers through stream_routes.',
  'ext-plugin-pre-req': runners,
  'ext-plugin-post-req': runners,
  'ext-plugin-post-resp': runners,
}

/** Of a configuration in that place, which is no credential. */
export const configSchemaFor = ({ stream, configSchema }: PolicySchema, role: PluginsRole): TObject =>
  role === 'stream' && stream !== undefined ? stream.configSchema : configSchema

/** Replaces one value. Lists and maps on the way to it are copied, because they belong to what was written. */
function replaceAt(holder: Record<PathSegment, unknown>, path: readonly PathSegment[], value: unknown): void {
  const [segment, ...rest] = path
  if (rest.length === 0) {
    holder[segment!] = value
    return
  }
  const inner = holder[segment!]
  const copy = Array.isArray(inner) ? [...inner] : { ...(inner as object) }
  holder[segment!] = copy
  replaceAt(copy as Record<PathSegment, unknown>, rest, value)
}

/** Takes what there is no field for out of a configuration, in place. @returns what else is wrong with it */
export function withoutUnknown(config: unknown, problems: readonly SchemaProblem[]): SchemaProblem[] {
  for (const { code, path } of problems) {
    if (code !== 'unknown-field') continue
    let holder = config as Record<PathSegment, unknown>
    for (const segment of path.slice(0, -1)) holder = holder[segment] as typeof holder
    delete holder[path.at(-1)!]
  }
  return problems.filter(({ code }) => code !== 'unknown-field')
}
