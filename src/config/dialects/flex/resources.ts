/**
 * The resources of Flex Gateway's local mode, as its documentation has them ("Configuration Reference Guide"). Their
 * schemas refuse what is not in it: the original takes no notice of such fields.
 */
import { type Static, type TObject, Type } from '../../type.ts'

/** Upper-case letters would make two names of one in Kubernetes, whose names these are. */
const name = (description: string) => Type.String({ minLength: 1, maxLength: 253, description })
const expression = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 4096, description }))

const rule = Type.Object(
  {
    path: expression('Expression for the whole path, without that of the API instance.'),
    methods: expression('Expression for the whole method.'),
    host: expression('Expression for the whole host, without its port.'),
    headers: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'Expressions for whole fields, by their names.',
      }),
    ),
  },
  { description: 'All that it says has to hold.' },
)
const rules = Type.Optional(
  Type.Array(rule, { description: 'One of them has to hold; none: every request.' }),
)
export type Rule = Static<typeof rule>

const namespace = Type.Optional(Type.String({ minLength: 1, description: 'Default: that of this resource.' }))

const policyRef = Type.Object({
  kind: Type.Optional(Type.Enum(['Extension'])),
  name: name('Name of the policy.'),
  namespace,
})

const config = Type.Optional(
  Type.Record(Type.String(), Type.Unsafe<unknown>({}), { description: 'As the policy has it.' }),
)

export const apiInstanceSchema = Type.Object({
  address: Type.String({
    pattern: '^https?://[^/?#\\s]+(/[^?#\\s]*)?$',
    'x-form': 'an address such as `http://0.0.0.0:8081/base`',
  }),
  services: Type.Optional(
    Type.Record(
      Type.String(),
      Type.Object({
        address: Type.String({ minLength: 1 }),
        routes: Type.Optional(
          Type.Array(
            Type.Object({
              config: Type.Optional(
                Type.Object({ destinationPath: Type.Optional(Type.String({ default: '' })) }),
              ),
              rules,
            }),
          ),
        ),
      }),
    ),
  ),
  policies: Type.Optional(Type.Array(Type.Object({ policyRef, config, rules }))),
})
export type ApiInstance = Static<typeof apiInstanceSchema>

export const policyBindingSchema = Type.Object({
  targetRef: Type.Union([
    Type.Object({
      kind: Type.Literal('Selector'),
      selector: Type.Object({
        kind: Type.Optional(Type.Enum(['ApiInstance'])),
        labels: Type.Optional(Type.Record(Type.String(), Type.String())),
      }),
    }),
    Type.Object({
      kind: Type.Optional(Type.Enum(['ApiInstance', 'Service'], { default: 'ApiInstance' })),
      name: name('What it is bound to.'),
      namespace,
    }),
  ]),
  policyRef,
  config,
  order: Type.Optional(Type.Integer({ default: 50, description: 'Lower runs first.' })),
  rules,
})
export type PolicyBinding = Static<typeof policyBindingSchema>

export const serviceSchema = Type.Object({ address: Type.String({ minLength: 1 }) })
export type Service = Static<typeof serviceSchema>

export const contractSchema = Type.Object({
  apiId: name('The ApiInstance that it is for, of the same namespace.'),
  client: Type.Object({
    id: Type.String({ minLength: 1, maxLength: 512 }),
    secret: Type.Optional(Type.String({ minLength: 1, 'x-secret': true })),
  }),
  sla: Type.Optional(
    Type.Object({
      name: Type.String({ minLength: 1, description: 'Name of the tier.' }),
      limits: Type.Array(
        Type.Object({
          maximumRequests: Type.Integer({ minimum: 1 }),
          timePeriodInMilliseconds: Type.Integer({ minimum: 1 }),
        }),
        { minItems: 1, maxItems: 8 },
      ),
    }),
  ),
})
export type Contract = Static<typeof contractSchema>

/** Sub-keys of a Configuration. What has no effect yet is told. */
export const configurationSchema = Type.Object(
  {
    logging: Type.Optional(
      Type.Object(
        {
          runtimeLogs: Type.Optional(
            Type.Object(
              { logLevel: Type.Optional(Type.Enum(['debug', 'info', 'warn', 'error', 'fatal'])) },
              { additionalProperties: true },
            ),
          ),
        },
        { additionalProperties: true },
      ),
    ),
  },
  { additionalProperties: true },
)
export type FlexConfiguration = Static<typeof configurationSchema>

const metadata = Type.Object(
  {
    name: name('Name of the resource.'),
    namespace: Type.Optional(Type.String({ minLength: 1, default: 'default' })),
    labels: Type.Optional(Type.Record(Type.String(), Type.Unsafe<unknown>({}))),
    annotations: Type.Optional(Type.Record(Type.String(), Type.Unsafe<unknown>({}))),
  },
  { additionalProperties: true },
)

export const resourceSchema = (spec: TObject) =>
  Type.Object({ apiVersion: Type.String(), kind: Type.String(), metadata, spec })
export type Metadata = Static<typeof metadata>
