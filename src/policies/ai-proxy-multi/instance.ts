import {
  auth,
  type Instance,
  instanceFinding,
  options,
  override,
  provider,
  providerConf,
  serviceOrigin,
} from '../kit/ai/index.ts'
import { activeChecks, derivedUpstream, type Static, Type } from '../kit/index.ts'

const fields = {
  name: Type.String({ minLength: 1, maxLength: 100, description: 'Unique among the instances.' }),
  provider,
  provider_conf: providerConf,
  priority: Type.Integer({ default: 0, description: 'Instances with the highest one are asked first.' }),
  weight: Type.Integer({ minimum: 0, description: 'Share of the requests.' }),
  auth,
  options,
  override,
  checks: activeChecks,
  examples: Type.Optional(
    Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      maxItems: 64,
      description: 'What clients may say that is meant for it, for the choice by meaning.',
    }),
  ),
  threshold: Type.Optional(
    Type.Number({ minimum: -1, maximum: 1, description: 'In place of `semantic_opts.threshold`.' }),
  ),
}

const plain = Type.Object(fields)
export type InstanceConfig = Static<typeof plain>

export const instance = Type.Object(fields, {
  'x-apisix': { additionalProperties: undefined },
  ...derivedUpstream(watched),
})

/** The upstream that is watched for an instance with health checks. */
function watched(config: InstanceConfig) {
  if (config.checks === undefined || instanceFinding(config as Instance) !== undefined) return undefined
  const origin = serviceOrigin(config as Instance)
  if (origin === undefined) return undefined
  const { protocol, hostname, port } = origin
  const isSecure = protocol === 'https:'
  const host = hostname.replace(/^\[|\]$/g, '')
  return {
    scheme: isSecure ? ('https' as const) : ('http' as const),
    nodes: [{ host, port: Number(port) || (isSecure ? 443 : 80), weight: 1 }],
    pass_host: 'node' as const,
    checks: config.checks,
  }
}
