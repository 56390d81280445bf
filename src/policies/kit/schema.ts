import type { TObject } from 'typebox'
import type { ZonePlaces } from '../../config/cache-zones.ts'
import type { PluginConfig } from '../../config/plan.ts'
import type { NestedPlugins, StreamSchema } from '../../config/policy-check.ts'
import type { AnyPolicy } from './policy.ts'

/** The part of a policy that configuration is checked against; it reaches no code that handles traffic. */
export interface PolicySchema {
  readonly name: string
  readonly priority: number
  readonly version?: number
  readonly configSchema: TObject
  readonly credentialSchema?: TObject
  /** The member of a credential that has to be unique among all consumers. */
  readonly credentialKey?: string
  readonly metadataSchema?: TObject
  /** True when the policy establishes who is calling. */
  readonly identify: boolean
  /** How it takes part in TCP and UDP sessions; absent: it does not. */
  readonly stream?: StreamSchema
  /** Whether it answers in place of the route's upstream, or chooses another. */
  answers?(config: PluginConfig): boolean
  /** Beyond the schema, for a configuration that fits it: the finding in one sentence. */
  validate?(config: PluginConfig, zones: ZonePlaces): string | undefined
  /** What a configuration lacks when it stands beside this metadata. */
  lacks?(config: PluginConfig, metadata: PluginConfig | undefined): string | undefined
  /** What the Admin API says in place of the `fault` that APISIX's schema finds in a configuration. */
  wording?(fault: string, config: PluginConfig): string | undefined
  /** `validate`, for what a consumer carries. */
  validateCredential?(credential: PluginConfig): string | undefined
  /** Configurations with the same answer have to be equal. */
  sharedState?(config: PluginConfig): string | undefined
  /** Configurations of other policies that stand inside one of this. */
  nested?(config: PluginConfig): readonly NestedPlugins[]
}

export function policySchema(policy: AnyPolicy): PolicySchema {
  const { validate, lacks, wording, validateCredential, sharedState, nested, answers } = policy
  return {
    name: policy.name,
    priority: policy.priority,
    ...(policy.version !== undefined && { version: policy.version }),
    configSchema: policy.config,
    ...(policy.credential && { credentialSchema: policy.credential }),
    ...(policy.credentialKey && { credentialKey: policy.credentialKey }),
    ...(policy.metadata && { metadataSchema: policy.metadata }),
    identify: policy.stage === 'identify',
    ...(policy.stream && {
      stream: {
        priority: policy.stream.priority ?? policy.priority,
        configSchema: policy.stream.config ?? policy.config,
        only: policy.stream.only === true,
      },
    }),
    ...(answers && { answers: (config) => answers(config) }),
    ...(validate && { validate: (config, zones) => validate(config, zones) }),
    ...(lacks && { lacks: (config, metadata) => lacks(config, metadata) }),
    ...(wording && { wording: (fault, config) => wording(fault, config) }),
    ...(validateCredential && { validateCredential: (credential) => validateCredential(credential) }),
    ...(sharedState && { sharedState: (config) => sharedState(config) }),
    ...(nested && { nested: (config) => nested(config) }),
  }
}
