/**
 * The schema of each kind of secret manager. Names and defaults of `vault`, `aws` and `gcp` are those of APISIX 3.18,
 * those of `kubernetes` and of `kv_version` come from API7; `file` is our own.
 */
import { type Static, Type } from './type.ts'

const bookkeeping = () => ({
  create_time: Type.Optional(Type.Integer({ description: 'Written by the Admin API; has no effect.' })),
  update_time: Type.Optional(Type.Integer({ description: 'Written by the Admin API; has no effect.' })),
})

const identity = (manager: string) =>
  Type.String({
    pattern: `^${manager}/[a-zA-Z0-9-_.]+$`,
    maxLength: 256,
    description: `Identity, with the kind of manager in front: \`${manager}/ID\`.`,
    'x-form': `${manager}/ID, where ID has letters, digits, \`-\`, \`_\` and \`.\``,
  })

const address = (description: string, byDefault?: string) =>
  Type.String({
    pattern: '^[^/]+://([\\da-zA-Z.-]+|\\[[\\da-fA-F:]+\\])(:\\d+)?',
    description,
    'x-form': 'an address such as https://vault.internal:8200',
    ...(byDefault !== undefined && { default: byDefault }),
  })

const secret = (description: string) => Type.String({ minLength: 1, description, 'x-secret': true })

const verify = () =>
  Type.Optional(
    Type.Boolean({ default: true, description: 'Whether the certificate of the server is verified.' }),
  )

export const vaultSchema = Type.Object(
  {
    id: identity('vault'),
    uri: address('Address of the server.'),
    prefix: Type.String({
      minLength: 1,
      description:
        'Where the secrets stand: the path of the engine, and the path below it that all have in common. With `kv-v2` its first segment is the engine.',
    }),
    token: secret('Token; a reference `$env://NAME` is resolved.'),
    namespace: Type.Optional(
      Type.String({ minLength: 1, description: 'Namespace, sent as `X-Vault-Namespace`.' }),
    ),
    kv_version: Type.Optional(
      Type.Enum(['kv-v1', 'kv-v2'], { default: 'kv-v1', description: 'Version of the key-value engine.' }),
    ),
    authentication_method: Type.Optional(
      Type.Enum(['token'], { default: 'token', description: 'How the gateway identifies itself.' }),
    ),
    ssl_verify: verify(),
    ...bookkeeping(),
  },
  { description: 'HashiCorp Vault. `$secret://vault/ID/PATH/KEY` is the member KEY of the secret at PATH.' },
)

export const awsSchema = Type.Object(
  {
    id: identity('aws'),
    access_key_id: secret('Access key; `$env://NAME` is resolved, here and below.'),
    secret_access_key: secret('Secret of the access key.'),
    session_token: Type.Optional(secret('Token of temporary credentials.')),
    region: Type.Optional(Type.String({ minLength: 1, default: 'us-east-1', description: 'Region.' })),
    endpoint_url: Type.Optional(
      address('Address of the service. Default: `https://secretsmanager.REGION.amazonaws.com`.'),
    ),
    ...bookkeeping(),
  },
  {
    description:
      'AWS Secrets Manager. `$secret://aws/ID/NAME` is a secret, `$secret://aws/ID/NAME/KEY` a member of one that holds JSON. The longest name that exists counts.',
  },
)

export const gcpSchema = Type.Object(
  {
    id: identity('gcp'),
    auth_config: Type.Optional(
      Type.Object(
        {
          client_email: Type.String({ minLength: 1, description: 'Of the service account.' }),
          private_key: secret('Of the service account, in PEM.'),
          project_id: Type.String({ minLength: 1, description: 'Project.' }),
          token_uri: Type.Optional(
            address('Where tokens are asked for.', 'https://oauth2.googleapis.com/token'),
          ),
          scope: Type.Optional(
            Type.Array(Type.String(), {
              default: ['https://www.googleapis.com/auth/cloud-platform'],
              description: 'Scopes of a token.',
            }),
          ),
          entries_uri: Type.Optional(
            address('Address of the service.', 'https://secretmanager.googleapis.com/v1'),
          ),
        },
        { description: 'The service account.' },
      ),
    ),
    auth_file: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'File of the service account, in JSON; excludes `auth_config`.',
      }),
    ),
    ssl_verify: verify(),
    ...bookkeeping(),
  },
  {
    description:
      'Google Cloud Secret Manager. `$secret://gcp/ID/NAME` is the latest version of a secret, `$secret://gcp/ID/NAME/KEY` a member of one that holds JSON. Requires `auth_config` or `auth_file`.',
    oneOf: [{ required: ['auth_config'] }, { required: ['auth_file'] }],
  },
)

export const kubernetesSchema = Type.Object(
  {
    id: identity('kubernetes'),
    apiserver_addr: Type.Optional(
      address('Address of the API server. Default: that of the cluster in which the gateway runs.'),
    ),
    token: Type.Optional(
      secret('Token. Default: that of the service account of the pod, read anew each time.'),
    ),
    ca_file: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Certificates that are trusted. Default: those of the service account, where there are any.',
      }),
    ),
    ssl_verify: verify(),
    ...bookkeeping(),
  },
  {
    description:
      'Secrets of Kubernetes. `$secret://kubernetes/ID/NAMESPACE/NAME/KEY` is the member KEY of a secret.',
  },
)

export const fileSchema = Type.Object(
  {
    id: identity('file'),
    path: Type.String({
      minLength: 1,
      description: 'Folder, such as `/run/secrets`; a relative one starts at the working directory.',
    }),
    ...bookkeeping(),
  },
  {
    description:
      'Files below a folder, as Docker and Kubernetes mount secrets. `$secret://file/ID/NAME` is the text of a file without the line feed at its end, `$secret://file/ID/NAME/KEY` a member of one that holds JSON. The longest name that exists counts.',
  },
)

/** By the first part of the identity. */
export const secretManagerSchemas = {
  vault: vaultSchema,
  aws: awsSchema,
  gcp: gcpSchema,
  kubernetes: kubernetesSchema,
  file: fileSchema,
} as const

export type SecretManagerKind = keyof typeof secretManagerSchemas

export type VaultConfig = Static<typeof vaultSchema>
export type AwsConfig = Static<typeof awsSchema>
export type GcpConfig = Static<typeof gcpSchema>
export type KubernetesConfig = Static<typeof kubernetesSchema>
export type FileConfig = Static<typeof fileSchema>

/** The kind of a manager, by its identity; undefined: there is no such kind. */
export function secretManagerKind(id: string): SecretManagerKind | undefined {
  const [kind = ''] = id.split('/', 1)
  return Object.hasOwn(secretManagerSchemas, kind) ? (kind as SecretManagerKind) : undefined
}
