import type { PolicySchema as CheckedPolicy } from '../../config/policy-check.ts'
import type { AnyPolicy } from './policy.ts'

/** What configuration is checked against, of a policy that is there; it reaches no code that handles traffic. */
export interface PolicySchema extends CheckedPolicy {
  readonly priority: number
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
