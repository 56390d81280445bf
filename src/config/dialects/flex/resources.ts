/**
 * The resources of Flex Gateway's local mode, as its documentation has them ("Configuration Reference Guide"). Their
 * schemas refuse what is not in it: the original takes no notice of such fields.
 */
import { type Static, type TObject, type TSchema, Type } from '../../type.ts'

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

const map = (description: string) =>
  Type.Optional(Type.Record(Type.String(), Type.Unsafe<unknown>({}), { description }))
const flag = (description: string) => Type.Optional(Type.Boolean({ description }))
const pem = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))
const number = (description: string) => Type.Optional(Type.Integer({ minimum: 0, description }))
const list = <Item extends TSchema>(item: Item, description: string) =>
  Type.Optional(Type.Array(item, { description }))
const names = (description: string) =>
  Type.Optional(
    Type.Union([
      Type.Array(Type.String({ minLength: 1 })),
      Type.Object({ anypoint: Type.Enum(['enabled', 'disabled'], { description }) }),
    ]),
  )

export const tlsVersions = ['1.0', '1.1', '1.2', '1.3'] as const

/** What policies for TLS and Configurations have in common. */
export const tlsFields = {
  trustedCA: pem('Authorities that vouch for the other side, in PEM.'),
  certificate: Type.Optional(
    Type.Object({
      key: Type.String({ minLength: 1, 'x-secret': true }),
      crt: Type.String({ minLength: 1 }),
      keyPassphrase: Type.Optional(Type.String({ 'x-secret': true })),
    }),
  ),
  alpn: list(Type.String({ minLength: 1 }), 'Protocols inside.'),
  minversion: Type.Optional(Type.Enum(tlsVersions)),
  maxversion: Type.Optional(Type.Enum(tlsVersions)),
  ciphers: list(Type.String({ minLength: 1 }), 'Cipher suites by their IANA names.'),
}

export const thresholdsSchema = Type.Object({
  thresholds: Type.Object({
    maxConnections: number('Connections.'),
    maxPendingRequests: number('Requests that wait for a connection.'),
    maxRequests: number('Requests under way.'),
    maxRetries: number('Requests in a further try.'),
    maxConnectionPools: number('Pools of connections.'),
  }),
})

const redisSchema = Type.Object({
  address: Type.Optional(Type.String({ minLength: 1, description: '`host:port`.' })),
  username: Type.Optional(Type.String()),
  user: Type.Optional(Type.String()),
  password: Type.Optional(Type.String({ 'x-secret': true })),
  db: number('Number of the database.'),
  DB: number('The same.'),
  sentinel: Type.Optional(
    Type.Object({
      addresses: Type.Array(Type.String({ minLength: 1 }), { minItems: 1 }),
      masterName: Type.String({ minLength: 1 }),
      password: Type.Optional(Type.String({ 'x-secret': true })),
    }),
  ),
  tls: Type.Optional(Type.Object({ ...tlsFields, skipValidation: flag('Whether anybody is believed.') })),
})

const label = Type.Object({
  type: Type.Enum(['environment', 'requestHeader', 'literal']),
  name: Type.String({ minLength: 1 }),
  keyName: Type.Optional(Type.String()),
  defaultValue: Type.Optional(Type.String()),
})

/** Sub-keys of a Configuration. */
export const configurationSchema = Type.Object({
  platformConnection: map('The connection to Anypoint Platform.'),
  logging: Type.Optional(
    Type.Object({
      outputs: list(
        Type.Object({
          name: Type.String({ minLength: 1 }),
          type: Type.String({ minLength: 1 }),
          parameters: map('As Fluent Bit has them.'),
        }),
        'Where logs go, by names of your own.',
      ),
      runtimeLogs: Type.Optional(
        Type.Object({
          logLevel: Type.Optional(Type.Enum(['debug', 'info', 'warn', 'error', 'fatal'])),
          outputs: names('Names of outputs.'),
        }),
      ),
      accessLogs: Type.Optional(Type.Object({ outputs: names('Names of outputs.') })),
    }),
  ),
  tracing: Type.Optional(
    Type.Object({
      enabled: flag('Whether there is any.'),
      provider: Type.Optional(
        Type.Object({
          type: Type.Enum(['opentelemetry', 'anypoint']),
          properties: map('How it is reached.'),
        }),
      ),
      sampling: Type.Optional(
        Type.Object(
          Object.fromEntries(
            ['client', 'random', 'overall'].map((name) => [
              name,
              Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
            ]),
          ),
        ),
      ),
      labels: list(label, 'Further attributes.'),
    }),
  ),
  probe: Type.Optional(
    Type.Object({
      enabled: flag('Whether it is open.'),
      port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535, default: 3000 })),
    }),
  ),
  proxyProtocol: Type.Optional(Type.Object({ enabled: flag('Whether connections begin with its header.') })),
  forwardProxy: map('The way to the platform.'),
  sharedStorage: Type.Optional(
    Type.Object({
      redis: Type.Optional(redisSchema),
      local: Type.Optional(Type.Object({ enabled: flag('Whether each replica has its own.') })),
    }),
  ),
  defaultTLS: Type.Optional(
    Type.Object({
      outboundPolicyCalls: Type.Optional(
        Type.Object({ ...tlsFields, skipValidation: flag('Whether anybody is believed.') }),
      ),
    }),
  ),
  resourceLimits: map('How many resources there may be.'),
  circuitBreaker: Type.Optional(thresholdsSchema),
  timeouts: Type.Optional(
    Type.Object({
      streamIdleSeconds: number('Silence of a request.'),
      upstreamResponseSeconds: number('Time of an upstream for its answer.'),
      upstreamConnectionIdleSeconds: number('Idle connections to upstreams.'),
    }),
  ),
})
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
