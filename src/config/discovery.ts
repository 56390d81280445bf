/**
 * Registries that know where services run. Names, units and defaults are those of `discovery` in APISIX's own
 * `config.yaml`; `https` towards Consul, `username` and `password` of Nacos and `ca_file` of Kubernetes are our own.
 */
import { type Static, Type } from './type.ts'

const milliseconds = (byDefault: number, description: string) =>
  Type.Optional(Type.Integer({ minimum: 1, default: byDefault, description }))

const wholeSeconds = (byDefault: number, description: string) =>
  Type.Optional(Type.Integer({ minimum: 1, default: byDefault, description }))

const secret = (description: string) => Type.Optional(Type.String({ description, 'x-secret': true }))

const sharedSize = () =>
  Type.Optional(
    Type.String({
      pattern: '^[1-9][0-9]*m$',
      description: 'Has no effect: memory is taken as it is needed.',
      'x-form': 'a size such as `64m`',
    }),
  )

const recordTypes = ['last', 'SRV', 'A', 'AAAA', 'CNAME'] as const

const dnsSchema = Type.Object(
  {
    servers: Type.Optional(
      Type.Array(
        Type.String({
          pattern: '^(\\[[0-9a-fA-F:.]+\\]|[0-9.]+)(:\\d{1,5})?$',
          'x-form': 'an address, with a port unless it is 53',
        }),
        { minItems: 1, description: 'DNS servers, asked in turn until one answers.' },
      ),
    ),
    resolv_conf: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'A file like `/etc/resolv.conf`, of which `nameserver`, `search` and `options ndots` are used. Excludes `servers`; with neither, the servers of the system are asked.',
      }),
    ),
    order: Type.Optional(
      Type.Array(Type.Enum(recordTypes), {
        minItems: 1,
        maxItems: 5,
        uniqueItems: true,
        default: [...recordTypes],
        description:
          'Record types in the order in which they are tried; `last` is the one that answered last.',
      }),
    ),
  },
  { description: 'DNS: SRV records, or A and AAAA records.' },
)

const consulSchema = Type.Object(
  {
    servers: Type.Array(
      Type.String({ pattern: '^https?://[^/?#@\\s]+$', 'x-form': 'a URL such as `http://127.0.0.1:8500`' }),
      {
        minItems: 1,
        description:
          'Consul agents or servers. They may be of several clusters, which then should not share service names.',
      },
    ),
    token: secret('ACL token.'),
    keepalive: Type.Optional(
      Type.Boolean({
        default: true,
        description: 'Wait for changes with blocking queries; otherwise ask again every `fetch_interval`.',
      }),
    ),
    fetch_interval: wholeSeconds(3, 'Seconds between two questions without `keepalive`.'),
    weight: Type.Optional(Type.Integer({ minimum: 1, default: 1, description: 'Weight of every node.' })),
    timeout: Type.Optional(
      Type.Object(
        {
          connect: milliseconds(2000, 'Milliseconds to open a connection.'),
          read: milliseconds(
            2000,
            'Milliseconds to an answer, beyond the time that Consul was asked to wait.',
          ),
          wait: wholeSeconds(60, 'Seconds that a blocking query waits for a change.'),
        },
        { default: {}, description: 'Timeouts towards Consul.' },
      ),
    ),
    sort_type: Type.Optional(
      Type.Enum(['origin', 'host_sort', 'port_sort', 'combine_sort'], {
        default: 'origin',
        description: 'Order of the nodes: Consul’s, by host, by port, or by host and port.',
      }),
    ),
    skip_services: Type.Optional(
      Type.Array(Type.String(), {
        minItems: 1,
        description: 'Services that are treated as if they did not exist; `consul` always is.',
      }),
    ),
    default_service: Type.Optional(
      Type.Object(
        {
          host: Type.Optional(Type.String({ minLength: 1, description: 'Host.' })),
          port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, description: 'Port.' })),
          metadata: Type.Optional(
            Type.Unsafe<Record<string, unknown>>({ type: 'object', description: 'Has no effect.' }),
          ),
        },
        { description: 'The only node of services that have none.' },
      ),
    ),
    dump: Type.Optional(
      Type.Object(
        {
          path: Type.String({ minLength: 1, description: 'The file; its folder must exist.' }),
          load_on_init: Type.Optional(
            Type.Boolean({ default: true, description: 'Begin with the nodes of the file.' }),
          ),
          expire: Type.Optional(
            Type.Integer({
              minimum: 0,
              default: 0,
              description: 'Seconds after which the file is not used any more; 0 is never.',
            }),
          ),
        },
        { description: 'Keep the nodes in a file, for a start while Consul cannot be reached.' },
      ),
    ),
    shared_size: sharedSize(),
  },
  { description: 'Consul: the healthy instances of its catalogue.' },
)

const kubernetesFields = {
  service: Type.Optional(
    Type.Object(
      {
        schema: Type.Optional(Type.Enum(['http', 'https'], { description: 'Default: `https`.' })),
        host: Type.Optional(
          Type.String({
            minLength: 1,
            description: 'Default: `KUBERNETES_SERVICE_HOST` of the environment.',
          }),
        ),
        port: Type.Optional(
          Type.Union(
            [
              Type.String({ pattern: '^[1-9]\\d{0,4}$', 'x-form': 'a port' }),
              Type.Integer({ minimum: 1, maximum: 65_535 }),
            ],
            {
              description: 'Default: `KUBERNETES_SERVICE_PORT` of the environment.',
              'x-form': 'a port',
            },
          ),
        ),
        ssl_verify: Type.Optional(
          Type.Boolean({
            description:
              'Check the certificate of the API server. Default: where there is a `ca_file`, which is so in a pod.',
          }),
        ),
        ca_file: Type.Optional(
          Type.String({
            minLength: 1,
            description:
              'Certificates of the authorities that are trusted. Default in a pod: those of its service account.',
          }),
        ),
      },
      { description: 'The API server.' },
    ),
  ),
  client: Type.Optional(
    Type.Object(
      {
        token: secret('Token of a service account.'),
        token_file: Type.Optional(
          Type.String({
            minLength: 1,
            maxLength: 500,
            description:
              'File with the token, read anew for every connection. Default: that of the pod’s service account.',
          }),
        ),
      },
      { description: 'Who asks. `token` and `token_file` exclude each other.' },
    ),
  ),
  namespace_selector: Type.Optional(
    Type.Object(
      {
        equal: Type.Optional(Type.String({ description: 'This one.' })),
        not_equal: Type.Optional(Type.String({ description: 'All but this one.' })),
        match: Type.Optional(
          Type.Array(Type.String(), {
            minItems: 1,
            description: 'Those that match one of these regular expressions as a whole.',
          }),
        ),
        not_match: Type.Optional(
          Type.Array(Type.String(), { minItems: 1, description: 'Those that match none.' }),
        ),
      },
      { description: 'Namespaces whose services may be used, by one of these; all by default.' },
    ),
  ),
  label_selector: Type.Optional(
    Type.String({ description: 'Label selector, in the syntax of Kubernetes, of what is looked at.' }),
  ),
  default_weight: Type.Optional(
    Type.Integer({ minimum: 0, description: 'Weight of every node. Default: 50.' }),
  ),
  watch_endpoint_slices: Type.Optional(
    Type.Boolean({ description: 'Watch EndpointSlices instead of Endpoints. Default: no.' }),
  ),
  shared_size: sharedSize(),
}

const kubernetesSchema = Type.Object(kubernetesFields, {
  description: 'Kubernetes: Endpoints or EndpointSlices.',
})

const kubernetesListSchema = Type.Array(
  Type.Object({
    id: Type.String({
      pattern: '^[a-z0-9]{1,64}$',
      description: 'Name of the cluster, in front of the names of its services.',
      'x-form': 'up to 64 lower-case letters and digits',
    }),
    ...kubernetesFields,
  }),
  { minItems: 1 },
)

const nacosSchema = Type.Object(
  {
    host: Type.Array(
      Type.String({
        pattern: '^https?://([a-zA-Z0-9-_.]+:.+@)?[a-zA-Z0-9-_.:]+$',
        minLength: 2,
        maxLength: 100,
        'x-form': 'a URL such as `http://127.0.0.1:8848`, with `user:password@` before the host if need be',
        'x-secret': true,
      }),
      { minItems: 1, description: 'Nacos servers of one cluster.' },
    ),
    prefix: Type.Optional(
      Type.String({
        pattern: '^[/a-zA-Z0-9-_.]+$',
        maxLength: 100,
        default: '/nacos/v1/',
        description: 'Path of the open API. Its version, `v1`, `v2` or `v3`, decides how it is spoken.',
        'x-form': 'a path',
      }),
    ),
    username: Type.Optional(Type.String({ minLength: 1, description: 'User of hosts that name none.' })),
    password: secret('Password of that user.'),
    access_key: Type.Optional(
      Type.String({ description: 'Access key of Alibaba Cloud, for its hosted Nacos.' }),
    ),
    secret_key: secret('Its secret, with which requests are signed.'),
    fetch_interval: wholeSeconds(30, 'Seconds between two questions about a service.'),
    weight: Type.Optional(
      Type.Integer({ minimum: 1, default: 100, description: 'Weight of nodes that have none.' }),
    ),
    timeout: Type.Optional(
      Type.Object(
        {
          connect: milliseconds(2000, 'Milliseconds to open a connection.'),
          send: milliseconds(2000, 'Milliseconds to send a question; part of the time for its answer.'),
          read: milliseconds(5000, 'Milliseconds to the answer.'),
        },
        { default: {}, description: 'Timeouts towards Nacos.' },
      ),
    ),
  },
  { description: 'Nacos: the healthy instances of its services.' },
)

/** What makes an item of API7's `service_registries` a registry: its type, and the settings of that type. */
export const serviceRegistryFields = {
  type: Type.Enum(['kubernetes', 'nacos'], { description: 'What it is.' }),
  kubernetes_config: Type.Optional(kubernetesSchema),
  nacos_config: Type.Optional(nacosSchema),
}

/** What stands under `gateway.discovery`, and under `discovery` of APISIX's own file. */
export const discoverySchema = Type.Object(
  {
    start_timeout: Type.Optional(
      Type.String({
        format: 'duration',
        default: '1s',
        description:
          'How long a start, or a new configuration, waits for the first answers about services that it names. What comes later is used when it comes.',
      }),
    ),
    dns: Type.Optional(dnsSchema),
    consul: Type.Optional(consulSchema),
    kubernetes: Type.Optional(
      Type.Union([kubernetesSchema, kubernetesListSchema], {
        description:
          'Kubernetes: Endpoints or EndpointSlices of one cluster (a map), or of several (a list of such maps, each with an `id`).',
        'x-form': 'a map, or a list of maps',
      }),
    ),
    nacos: Type.Optional(nacosSchema),
  },
  {
    default: {},
    description: 'Registries that know where services run.',
    'x-unsupported': { eureka: 'Eureka', consul_kv: 'the key-value store of Consul', tars: 'TARS' },
  },
)

export type DiscoveryInput = Static<typeof discoverySchema>
export type KubernetesInput = Static<typeof kubernetesSchema>

export interface DnsSettings {
  servers?: readonly string[]
  resolv_conf?: string
  order: readonly (typeof recordTypes)[number][]
}

/** Seconds and milliseconds as in the schema. */
export interface ConsulSettings {
  servers: readonly string[]
  token?: string
  keepalive: boolean
  fetch_interval: number
  weight: number
  timeout: { connect: number; read: number; wait: number }
  sort_type: 'origin' | 'host_sort' | 'port_sort' | 'combine_sort'
  skip_services?: readonly string[]
  default_service?: { host?: string; port?: number }
  dump?: { path: string; load_on_init: boolean; expire: number }
}

export interface KubernetesSettings {
  /** What is absent comes from the environment and from the service account of the pod. */
  service: { schema: 'http' | 'https'; host?: string; port?: number; ssl_verify?: boolean; ca_file?: string }
  client: { token?: string; token_file?: string }
  namespace_selector: {
    equal?: string
    not_equal?: string
    match?: readonly string[]
    not_match?: readonly string[]
  }
  label_selector: string
  default_weight: number
  watch_endpoint_slices: boolean
}

/** Seconds and milliseconds as in the schema. */
export interface NacosSettings {
  host: readonly string[]
  prefix: string
  username?: string
  password?: string
  access_key?: string
  secret_key?: string
  fetch_interval: number
  weight: number
  timeout: { connect: number; send: number; read: number }
}

/** One registry. `id` is `default` unless it was given one; it is unique among those of its type. */
export type RegistrySettings = { id: string } & (
  | { type: 'dns'; config: DnsSettings }
  | { type: 'consul'; config: ConsulSettings }
  | { type: 'kubernetes'; config: KubernetesSettings }
  | { type: 'nacos'; config: NacosSettings }
)

export type DiscoveryType = RegistrySettings['type']

export const discoveryTypes = ['dns', 'consul', 'kubernetes', 'nacos'] as const satisfies DiscoveryType[]

/** All of them, with every default filled in; `start_timeout` in milliseconds. */
export interface DiscoverySettings {
  start_timeout: number
  dns?: DnsSettings
  consul?: ConsulSettings
  /** One cluster, or several with ids. */
  kubernetes?: KubernetesSettings | (KubernetesSettings & { id: string })[]
  nacos?: NacosSettings
}

/** Of a checked section in which the schema's defaults were filled in. */
export function discoverySettings({ dns, consul, kubernetes, nacos }: DiscoveryInput, startTimeout: number) {
  const settings: DiscoverySettings = { start_timeout: startTimeout }
  if (dns !== undefined) settings.dns = dns as DnsSettings
  if (consul !== undefined) settings.consul = consul as ConsulSettings
  if (Array.isArray(kubernetes)) {
    settings.kubernetes = kubernetes.map((cluster) => ({ id: cluster.id, ...kubernetesSettings(cluster) }))
  } else if (kubernetes !== undefined) settings.kubernetes = kubernetesSettings(kubernetes)
  if (nacos !== undefined) settings.nacos = nacos as NacosSettings
  return settings
}

export function registriesOf({ dns, consul, kubernetes, nacos }: DiscoverySettings): RegistrySettings[] {
  const registries: RegistrySettings[] = []
  if (dns !== undefined) registries.push({ id: 'default', type: 'dns', config: dns })
  if (consul !== undefined) registries.push({ id: 'default', type: 'consul', config: consul })
  if (Array.isArray(kubernetes)) {
    for (const { id, ...config } of kubernetes) registries.push({ id, type: 'kubernetes', config })
  } else if (kubernetes !== undefined) {
    registries.push({ id: 'default', type: 'kubernetes', config: kubernetes })
  }
  if (nacos !== undefined) registries.push({ id: 'default', type: 'nacos', config: nacos })
  return registries
}

/** A registry of API7; undefined without the settings of its type. */
export function registryOf(
  id: string,
  input: {
    type: 'kubernetes' | 'nacos'
    kubernetes_config?: KubernetesInput
    nacos_config?: Static<typeof nacosSchema>
  },
): RegistrySettings | undefined {
  const { type, kubernetes_config: kubernetes, nacos_config: nacos } = input
  if (type === 'kubernetes') {
    return kubernetes && { id, type, config: kubernetesSettings(kubernetes) }
  }
  return nacos && { id, type, config: nacos as NacosSettings }
}

/** Defaults inside a choice are not filled in by the schema. */
function kubernetesSettings(input: KubernetesInput): KubernetesSettings {
  const { schema = 'https', port, ...service } = input.service ?? {}
  return {
    service: { schema, ...(port !== undefined && { port: Number(port) }), ...service },
    client: input.client ?? {},
    namespace_selector: input.namespace_selector ?? {},
    label_selector: input.label_selector ?? '',
    default_weight: input.default_weight ?? 50,
    watch_endpoint_slices: input.watch_endpoint_slices ?? false,
  }
}

/** The names in a `service_name`, as its type of registry has them. */
export interface ServiceName {
  /** Id of the registry. */
  registry: string
  /** Kubernetes, and Nacos where the name says it. */
  namespace?: string
  /** Nacos where the name says it. */
  group?: string
  name: string
  /** Kubernetes: name or number of the port. DNS: its number, if there is one. */
  port?: string
}

/**
 * Undefined when no service of that type can have the name.
 * @param isRegistry whether there is a registry of that type with such an id
 */
export function parseServiceName(
  type: string,
  text: string,
  isRegistry: (id: string) => boolean,
): ServiceName | undefined {
  switch (type) {
    case 'dns': {
      const match = /^([^\s:]+)(?::(\d{1,5}))?$/.exec(text)
      if (match === null || Number(match[2] ?? 1) < 1 || Number(match[2] ?? 1) > 65_535) return undefined
      return { registry: 'default', name: match[1]!, ...(match[2] !== undefined && { port: match[2] }) }
    }
    case 'kubernetes': {
      // In a list of clusters, the id comes first.
      const match = /^(?:(.*)\/)?([^/]*)\/([^/]*):([^/]*)$/.exec(text)
      if (match === null) return undefined
      return { registry: match[1] ?? 'default', namespace: match[2]!, name: match[3]!, port: match[4]! }
    }
    case 'nacos': {
      // API7 writes where a service is into its name; in APISIX, a name may have slashes for no reason.
      const [registry = '', namespace = '', group = '', name, ...rest] = text.split('/')
      return name !== undefined && rest.length === 0 && isRegistry(registry)
        ? { registry, namespace, group, name }
        : { registry: 'default', name: text }
    }
    default:
      return { registry: 'default', name: text }
  }
}
