/** The resources of all documents, each checked by itself, by namespace and name. */
import { copy } from '../../copy.ts'
import type { SourceDocument } from '../../load.ts'
import { below, describePlace, type Place, type Report } from '../../report.ts'
import { checkSchema } from '../../schema.ts'
import {
  type ApiInstance,
  apiInstanceSchema,
  type Contract,
  configurationSchema,
  contractSchema,
  type FlexConfiguration,
  type Metadata,
  type PolicyBinding,
  policyBindingSchema,
  resourceSchema,
  type Service,
  serviceSchema,
} from './resources.ts'

export interface Resource<Spec> {
  namespace: string
  name: string
  labels: Readonly<Record<string, unknown>>
  spec: Spec
  /** Of the spec. */
  place: Place
}

export interface FlexModel {
  instances: Resource<ApiInstance>[]
  bindings: Resource<PolicyBinding>[]
  services: Resource<Service>[]
  configurations: Resource<FlexConfiguration>[]
  contracts: Resource<Contract>[]
}

const schemas = {
  ApiInstance: resourceSchema(apiInstanceSchema),
  PolicyBinding: resourceSchema(policyBindingSchema),
  Service: resourceSchema(serviceSchema),
  Configuration: resourceSchema(configurationSchema),
  Contract: resourceSchema(contractSchema),
} as const

const lists = {
  ApiInstance: 'instances',
  PolicyBinding: 'bindings',
  Service: 'services',
  Configuration: 'configurations',
  Contract: 'contracts',
} as const

type Kind = keyof typeof schemas

const versions = ['gateway.mulesoft.com/v1alpha1', 'gateway.mulesoft.com/v1beta1']
/** Kinds that say nothing about traffic. */
const otherKinds: Readonly<Record<string, { message: string; hint?: string }>> = {
  Extension: {
    message: 'definitions of policies are not needed: those that there are are built in',
    hint: 'One of your own runs here as a policy in TypeScript: see docs/guides/write-a-policy.md.',
  },
  Secret: { message: 'the certificate of a registration is not used' },
}

/** What becomes of each kind, for its reference. */
export const kindStates: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.keys(schemas).map((kind) => [kind, 'read'])),
  ...Object.fromEntries(
    Object.entries(otherKinds).map(([kind, { message }]) => [kind, `no effect: ${message}`]),
  ),
}

/** @param isStrict whether what the original ignores is an error */
export function readModel(
  documents: readonly SourceDocument[],
  isStrict: boolean,
  report: Report,
): FlexModel {
  const model: FlexModel = { instances: [], bindings: [], services: [], configurations: [], contracts: [] }
  const places = new Map<string, Place>()
  for (const document of documents) {
    const root: Place = { document, path: [] }
    const { apiVersion, kind } = document.value as { apiVersion?: unknown; kind?: unknown }
    if (!versions.includes(apiVersion as string)) {
      report.add(below(root, 'apiVersion'), {
        code: 'invalid-value',
        severity: isStrict ? 'error' : 'warning',
        message: 'there is no such version of resources',
        hint: `Write ${versions[0]}. Flex Gateway would ignore this resource without a word.`,
      })
    } else if (typeof kind === 'string' && Object.hasOwn(schemas, kind)) {
      readResource(root, kind as Kind, model, places, report)
    } else if (typeof kind === 'string' && Object.hasOwn(otherKinds, kind)) {
      report.add(below(root, 'kind'), { code: 'ignored-field', severity: 'info', ...otherKinds[kind]! })
    } else {
      report.add(kind === undefined ? root : below(root, 'kind'), {
        code: kind === undefined ? 'missing-field' : 'invalid-value',
        severity: isStrict ? 'error' : 'warning',
        message: kind === undefined ? 'a resource needs a kind' : 'there is no such kind of resource',
        hint: `Known: ${Object.keys(schemas).join(', ')}.`,
      })
    }
  }
  return model
}

function readResource(
  root: Place,
  kind: Kind,
  model: FlexModel,
  places: Map<string, Place>,
  report: Report,
): void {
  const value = copy(root.document.value) as { metadata: Metadata; spec: never }
  const problems = checkSchema(schemas[kind], value)
  for (const { path, ...entry } of problems) report.add(below(root, ...path), entry)
  const isRefused = problems.some(
    ({ code, severity }) => severity === 'error' && !report.tolerates(root, code),
  )
  if (isRefused) return
  const { name, namespace = 'default', labels = {} } = value.metadata
  const key = `${kind} ${namespace}/${name}`
  const other = places.get(key)
  if (other !== undefined) {
    report.add(below(root, 'metadata', 'name'), {
      code: 'duplicate-id',
      message: `another ${kind} has the same name, ${name}`,
      hint: `It is ${describePlace(other)}.`,
    })
    return
  }
  places.set(key, below(root, 'metadata'))
  const resource = { namespace, name, labels, spec: value.spec, place: below(root, 'spec') }
  ;(model[lists[kind]] as Resource<never>[]).push(resource)
}
