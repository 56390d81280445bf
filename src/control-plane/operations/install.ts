/** What installs a gateway of a group: snippets to paste, as API7 gives them, with a certificate of their own. */
import { Type } from '../../config/type.ts'
import { type Call, operation } from '../operation.ts'
import { Problem } from '../problem.ts'

const area = 'Installation'

const days = () =>
  Type.Optional(
    Type.Integer({ minimum: 1, maximum: 10_950, default: 3650, description: 'Of the certificate, in days.' }),
  )
/** What goes into a shell or a YAML file unquoted consists of these. */
const word = (description: string, more: object = {}) =>
  Type.String({ minLength: 1, maxLength: 255, pattern: '^[A-Za-z0-9._/:@-]+$', description, ...more })
const port = (byDefault: number) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, default: byDefault }))

const common = {
  dp_manager_address: Type.Optional(
    word('Where gateways find this control plane, as HOST or HOST:PORT. Default: as it knows itself.'),
  ),
  validity_period: days(),
}
const image = Type.Optional(word('Image of the gateway.', { default: 'sluice-gateway:latest' }))
const extra = (description: string) =>
  Type.Optional(
    Type.Array(Type.String({ maxLength: 1024, pattern: '^[^\\u0000-\\u001f]+$' }), {
      maxItems: 64,
      description,
    }),
  )

const dockerQuery = Type.Object({
  ...common,
  image,
  http_port: port(9080),
  https_port: port(9443),
  name: Type.Optional(word('Host name of the gateway.')),
  extra_args: extra('More arguments of `docker run`.'),
})
const composeQuery = Type.Object({
  ...common,
  image,
  http_port: port(9080),
  https_port: port(9443),
  name: Type.Optional(word('Of container and service.', { default: 'sluice-gateway' })),
  extra_args: extra('Further environment variables, as NAME=VALUE.'),
})
const label = (description: string) =>
  Type.String({ pattern: '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$', description })
const helmQuery = Type.Object({
  ...common,
  name: label('Of the release.'),
  namespace: label('Of Kubernetes.'),
  chart: Type.Optional(
    word('Folder, archive or address of the chart. Default: its folder in a checkout of Sluice.'),
  ),
  service_account: Type.Optional(label('Of Kubernetes.')),
  replicas: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 1 })),
  workers: Type.Optional(Type.Integer({ minimum: 1, maximum: 512, description: 'Data threads.' })),
  cpu_limit: Type.Optional(Type.String({ pattern: '^[0-9]+(\\.[0-9]+)?m?$' })),
  memory_limit: Type.Optional(Type.String({ pattern: '^[0-9]+(Ki|Mi|Gi|K|M|G)?$' })),
  extra_values: extra('More values of the chart, as key=value.'),
})

export const installOperations = [
  operation({
    method: 'POST',
    path: '/api/gateway_groups/{group}/instance_certificates',
    summary: 'A certificate with its key, for gateways that are set up by their environment',
    area,
    access: 'Manage Servers',
    body: Type.Object({ validity_period: days() }),
    bodyIsOptional: true,
    answer: {
      status: 200,
      text: '`value` with `certificate`, `private_key`, `ca_certificate` and `roots`; the key is not kept.',
    },
    run(call) {
      const issued = issue(call, call.body?.validity_period ?? 3650)
      const { certificate, key, roots, ca } = issued
      return {
        status: 200,
        body: { value: { certificate, private_key: key, ca_certificate: ca, roots: JSON.parse(roots) } },
      }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/gateway_groups/{group}/deployment/docker',
    summary: 'A command that runs a gateway of the group with Docker',
    area,
    access: 'Manage Servers',
    query: dockerQuery,
    answer: {
      status: 200,
      text: 'A command for a shell, with a certificate of its own.',
      type: 'text/plain',
    },
    run(call) {
      const { image: from = '', http_port: http, https_port: https, name, extra_args: more = [] } = call.query
      const lines = environment(call).map(([variable, value]) => `-e ${variable}=${quoted(value)}`)
      const body = [
        'docker run -d',
        ...lines,
        ...(name === undefined ? [] : [`--hostname ${name}`]),
        `-p ${http}:9080`,
        `-p ${https}:9443`,
        `-v ${name ?? 'sluice-gateway'}-data:${dataFolder}`,
        ...more.map(quoted),
        from,
      ]
      return { status: 200, body: `${body.join(' \\\n  ')}\n` }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/gateway_groups/{group}/deployment/docker-compose',
    summary: 'A file that runs a gateway of the group with Docker Compose',
    area,
    access: 'Manage Servers',
    query: composeQuery,
    answer: { status: 200, text: 'YAML, with a certificate of its own.', type: 'text/plain' },
    run(call) {
      const { image: from, http_port: http, https_port: https, name, extra_args: more = [] } = call.query
      const variables = [...environment(call), ...more.map(pairIn)]
      return {
        status: 200,
        body: [
          'services:',
          `  ${name}:`,
          `    image: ${from}`,
          `    container_name: ${name}`,
          `    hostname: ${name}`,
          '    restart: always',
          '    ports:',
          `      - "${http}:9080"`,
          `      - "${https}:9443"`,
          '    environment:',
          ...variables.flatMap(([variable, value]) => yamlLines(variable, value)),
          '    volumes:',
          `      - data:${dataFolder}`,
          'volumes:',
          '  data: {}',
          '',
        ].join('\n'),
      }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/gateway_groups/{group}/deployment/helm',
    summary: 'Commands that install gateways of the group in Kubernetes with Helm',
    area,
    access: 'Manage Servers',
    query: helmQuery,
    answer: { status: 200, text: 'Commands for a shell, with a certificate of its own.', type: 'text/plain' },
    run: (call) => ({ status: 200, body: helm(call) }),
  }),
]

interface Issued {
  certificate: string
  key: string
  ca: string
  /** JSON. */
  roots: string
}

function issue(
  { plane, params, who }: Pick<Call<unknown, unknown>, 'plane' | 'params' | 'who'>,
  validity: number,
): Issued {
  const group = params.group!
  plane.groupNamed(group)
  const { organization, environment: env } = plane
  const facts = { connected: true, organization, environment: env, group, author: who }
  const { certificate, key } = plane.registrations.issueWithKey(facts, validity)
  return { certificate, key, ca: plane.keys.authority.certificate, roots: JSON.stringify(plane.keys.roots) }
}

interface CommonQuery {
  dp_manager_address?: string
  validity_period?: number
}

const endpointOf = ({ plane, query }: Pick<Call<CommonQuery, unknown>, 'plane' | 'query'>): string => {
  const known = plane.urls.sync[0]!
  const { dp_manager_address: address } = query
  if (address === undefined) return known
  const url = URL.parse(`https://${address.replace(/^https:\/\//, '')}`)
  if (url === null) throw new Problem(400, 'dp_manager_address: it is no HOST or HOST:PORT')
  return `https://${url.hostname}:${url.port || new URL(known).port}`
}

/** The name that stands in the certificate of the control plane, whatever the address is. */
const serverNameOf = (known: string) => new URL(known).hostname.replace(/^\[|\]$/g, '')

function environment(
  call: Pick<Call<CommonQuery, unknown>, 'plane' | 'params' | 'who' | 'query'>,
): [string, string][] {
  const { certificate, key, ca, roots } = issue(call, call.query.validity_period ?? 3650)
  return [
    ['API7_CONTROL_PLANE_ENDPOINTS', JSON.stringify([endpointOf(call)])],
    ['API7_GATEWAY_GROUP_SHORT_ID', call.params.group!],
    ['API7_CONTROL_PLANE_CERT', certificate],
    ['API7_CONTROL_PLANE_KEY', key],
    ['API7_CONTROL_PLANE_CA', ca],
    ['API7_CONTROL_PLANE_SNI', serverNameOf(call.plane.urls.sync[0]!)],
    ['SLUICE_CONFIGURATION_ROOTS', roots],
    ['SLUICE_LISTENERS', JSON.stringify(listeners)],
    ['SLUICE_DATA_DIR', dataFolder],
  ]
}

/** Behind the ports that the snippets publish. */
const listeners = [
  { name: 'http', host: '0.0.0.0', port: 9080 },
  { name: 'https', host: '0.0.0.0', port: 9443, protocol: 'https' },
]

/** In the image, of its user: what was in force last is kept there, for starts without the control plane. */
const dataFolder = '/var/lib/sluice'

function helm(call: Call<HelmQuery, unknown>): string {
  const { name, namespace, service_account: account, replicas = 1, workers, chart = ownChart } = call.query
  const { cpu_limit: cpu, memory_limit: memory, extra_values: more = [] } = call.query
  const { certificate, key, ca, roots } = issue(call, call.query.validity_period ?? 3650)
  const secret = `${name}-tls`
  // Commas and braces mean something to --set.
  const plain = (text: string) => text.replace(/[,{}[\]]/g, '\\$&')
  const values = [
    ['controlPlane.endpoints[0]', endpointOf(call)],
    ['controlPlane.group', call.params.group!],
    ['controlPlane.serverName', serverNameOf(call.plane.urls.sync[0]!)],
    ['controlPlane.roots', plain(roots)],
    ['controlPlane.existingSecret', secret],
    ['replicaCount', String(replicas)],
    ...(workers === undefined ? [] : [['workers', String(workers)]]),
    ...(cpu === undefined ? [] : [['resources.limits.cpu', cpu]]),
    ...(memory === undefined ? [] : [['resources.limits.memory', memory]]),
    ...(account === undefined
      ? []
      : [
          ['serviceAccount.name', account],
          ['serviceAccount.create', 'false'],
        ]),
    ...more.map(pairIn),
  ]
  const heredoc = (file: string, text: string) => `cat > "$folder/${file}" <<'EOF'\n${text.trimEnd()}\nEOF`
  return [
    'folder=$(mktemp -d)',
    heredoc('tls.crt', certificate),
    heredoc('tls.key', key),
    heredoc('ca.crt', ca),
    `kubectl create namespace ${namespace} --dry-run=client -o yaml | kubectl apply -f -`,
    `kubectl create secret generic -n ${namespace} ${secret} --from-file=tls.crt="$folder/tls.crt" --from-file=tls.key="$folder/tls.key" --from-file=ca.crt="$folder/ca.crt"`,
    'rm -r "$folder"',
    [
      `helm upgrade --install -n ${namespace} --create-namespace ${name} ${chart}`,
      ...values.map(([path, value]) => `--set ${quoted(`${path}=${value}`)}`),
    ].join(' \\\n  '),
    '',
  ].join('\n')
}

/** In a checkout, where the commands are pasted. */
const ownChart = './deploy/helm/sluice'

interface HelmQuery extends CommonQuery {
  chart?: string
  name: string
  namespace: string
  service_account?: string
  replicas?: number
  workers?: number
  cpu_limit?: string
  memory_limit?: string
  extra_values?: string[]
}

function pairIn(text: string): [string, string] {
  const [, name, value] = /^([A-Za-z_][\w.[\]-]*)=(.*)$/.exec(text) ?? []
  if (name === undefined) throw new Problem(400, 'what is added has the form NAME=VALUE')
  return [name, value!]
}

/** For a POSIX shell: within single quotes nothing means anything. */
const quoted = (text: string) => `'${text.trimEnd().replaceAll("'", `'\\''`)}'`

function yamlLines(name: string, value: string): string[] {
  if (!value.includes('\n')) return [`      ${name}: ${JSON.stringify(value)}`]
  return [
    `      ${name}: |`,
    ...value
      .trimEnd()
      .split('\n')
      .map((line) => `        ${line}`),
  ]
}
