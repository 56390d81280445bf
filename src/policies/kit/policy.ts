import type { Static, TObject } from 'typebox'
import type { ZonePlaces } from '../../config/cache-zones.ts'
import type { PluginConfig } from '../../config/plan.ts'
import type { NestedPlugins } from '../../config/policy-check.ts'
import type { Exchange, PolicyHandlers, Stage, Verdict } from '../../proxy/exchange.ts'
import type { PolicyHost } from './host.ts'

/** What an author writes; the types of `config`, credentials and metadata follow from the schemas. */
export interface PolicyDefinition<
  Config extends TObject,
  Credential extends TObject,
  Metadata extends TObject,
> {
  /** As it stands under `plugins` in a configuration. */
  readonly name: string
  /** One sentence for the reference page and `sluice policy list`. */
  readonly summary: string
  /** Paragraphs of Markdown for the reference page: what callers get to see, and where it differs from its original. */
  readonly details?: string
  readonly stage: Stage
  /** Higher runs first within the stage; APISIX's published number where it has one. */
  readonly priority: number
  /** The number that APISIX gives its policy of this name, for clients that ask for it. Default: 0.1. */
  readonly version?: number
  /** Bound by a global rule it stays silent where the route binds it too, so that nothing is counted twice. */
  readonly yieldsToRoute?: boolean
  /** Whether it answers in place of the upstream of the route, or chooses another: then the route needs none. */
  answers?(config: Static<Config>): boolean
  readonly config: Config
  /** What a consumer carries for this policy (`key-auth`: `{ key }`). Makes it an authentication policy. */
  readonly credential?: Credential
  /** The member of a credential that tells consumers apart: two consumers with the same value are a finding. */
  readonly credentialKey?: keyof Static<Credential> & string
  /** Schema of `plugin_metadata` for this policy. */
  readonly metadata?: Metadata
  /**
   * What a schema cannot say: the finding in one sentence, or undefined when all is well. Runs before any traffic.
   * `zones`: the places where answers can be stored, of the same configuration.
   */
  validate?(config: Static<Config>, zones: ZonePlaces): string | undefined
  /**
   * What a configuration lacks when it stands beside this `plugin_metadata`: the finding in one sentence. For fields that
   * have to be in one of the two.
   */
  lacks?(config: Static<Config>, metadata: Partial<Static<Metadata>> | undefined): string | undefined
  /** What APISIX's policy says where its schema would refuse a configuration in other words, which are `fault`. */
  wording?(fault: string, config: PluginConfig): string | undefined
  /** `validate`, for what a consumer carries. */
  validateCredential?(credential: Static<Credential>): string | undefined
  /**
   * Configurations that answer the same text share one state and therefore have to be equal; undefined: on its own.
   * `limit-count` answers its `group`.
   */
  sharedState?(config: Static<Config>): string | undefined
  /**
   * It takes part in TCP and UDP sessions too. Such a session is an exchange without a request: `session` tells of it, and
   * a verdict, whatever its status, closes it without a byte.
   */
  readonly stream?: StreamPart<Static<Config>, PolicyHost<Static<Credential>, Static<Metadata>>>
  /** Where a configuration runs when not at `stage` and `priority`. */
  placement?(config: Static<Config>): { readonly stage: Stage; readonly priority: number }
  /** Policies that this one runs itself, by `host.bind`: they are checked as if they stood there by themselves. */
  nested?(config: Static<Config>): readonly NestedPlugins[]
  /**
   * What the policy `public-api` lets clients reach at the paths of this policy. Called with each such request, with
   * services of that moment.
   */
  publicApi?(
    exchange: Exchange,
    host: Omit<PolicyHost<Static<Credential>, Static<Metadata>>, 'bind'>,
    path: string,
  ): Promise<Verdict>
  /**
   * Once for each binding: whatever does not depend on a request is computed or opened here. A configuration that
   * `validate` let pass must not make it throw.
   */
  create(config: Static<Config>, host: PolicyHost<Static<Credential>, Static<Metadata>>): PolicyHandlers
}

/** What a policy does on streams, where that is not what it does for requests. */
export interface StreamPart<Config, Host> {
  /** Default: that of requests. */
  readonly priority?: number
  /** It does nothing for requests. */
  readonly only?: true
  /** Of a configuration on a stream route. Default: that of requests, which it has to be a part of. */
  readonly config?: TObject
  /** Default: `create` of the policy, of which `request` and `observe` are called. */
  create?(config: Config, host: Host): Pick<PolicyHandlers, 'request' | 'observe'>
}

export type Policy<
  Config extends TObject = TObject,
  Credential extends TObject = TObject,
  Metadata extends TObject = TObject,
> = PolicyDefinition<Config, Credential, Metadata>

/** A policy as the catalogue and the runtime see it, with the types of its schemas forgotten. */
export interface AnyPolicy {
  readonly name: string
  readonly summary: string
  readonly details?: string
  readonly stage: Stage
  readonly priority: number
  readonly version?: number
  readonly yieldsToRoute?: boolean
  answers?(config: PluginConfig): boolean
  readonly config: TObject
  readonly credential?: TObject
  readonly credentialKey?: string
  readonly metadata?: TObject
  validate?(config: PluginConfig, zones: ZonePlaces): string | undefined
  lacks?(config: PluginConfig, metadata: PluginConfig | undefined): string | undefined
  wording?(fault: string, config: PluginConfig): string | undefined
  validateCredential?(credential: PluginConfig): string | undefined
  sharedState?(config: PluginConfig): string | undefined
  readonly stream?: StreamPart<PluginConfig, PolicyHost>
  placement?(config: PluginConfig): { readonly stage: Stage; readonly priority: number }
  nested?(config: PluginConfig): readonly NestedPlugins[]
  publicApi?(exchange: Exchange, host: Omit<PolicyHost, 'bind'>, path: string): Promise<Verdict>
  create(config: PluginConfig, host: PolicyHost): PolicyHandlers
}

/** Gives the definition back; what it adds is the inference of types. */
export function definePolicy<
  Config extends TObject,
  Credential extends TObject = TObject,
  Metadata extends TObject = TObject,
>(definition: PolicyDefinition<Config, Credential, Metadata>): Policy<Config, Credential, Metadata> {
  return definition
}
