/** What goes over the connection beside bundles: one schema for each message, for both sides. */
import { type Static, Type } from '../../config/type.ts'
import { publicKeySchema } from './keys.ts'
import { refusalCodes } from './refusal.ts'

/** Where each message goes, below the URL of the control plane. */
export const paths = {
  trust: '/sync/v1/trust',
  registrations: '/sync/v1/registrations',
  /** Followed by the id of a registration and `/certificate`. */
  renewal: (id: string) => `/sync/v1/registrations/${encodeURIComponent(id)}/certificate`,
  configuration: '/sync/v1/configuration',
  acknowledgements: '/sync/v1/acknowledgements',
  heartbeat: '/api/dataplane/heartbeat',
  metrics: '/api/dataplane/metrics',
  healthcheck: '/api/dataplane/healthcheck',
  logs: '/sync/v1/logs',
  login: '/accounts/api/login',
  token: '/accounts/api/v2/oauth2/token',
} as const

/** Bytes of any message but a bundle. */
export const maxMessageBytes = 1024 * 1024

const text = (maxLength: number) => Type.String({ minLength: 1, maxLength })
const pem = () => Type.String({ minLength: 1, maxLength: 64 * 1024 })
const digest = () => Type.String({ pattern: '^[0-9a-f]{64}$' })
const count = () => Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const open = { additionalProperties: true }

/** Of gateways. */
export const gatewayNamePattern = '^(?![-0-9])([a-z0-9-]{2,41}[a-z0-9])?$'

/**
 * Answer to `GET trust`: what a gateway pins. A registration token carries the SHA-256 of this answer's exact bytes, so
 * it may be asked for over a connection that nothing vouches for yet.
 */
export const trustSchema = Type.Object({
  /** Certificates in PEM that certificates of the control plane and of gateways come from. */
  ca: pem(),
  /** Root keys for configuration; any of them may sign the document of keys. */
  roots: Type.Array(publicKeySchema, { minItems: 1, maxItems: 8 }),
})
export type Trust = Static<typeof trustSchema>

/** Body of `POST registrations`. Authorization: the secret of a registration token, or an access token. */
export const registrationRequestSchema = Type.Object({
  name: Type.String({ pattern: gatewayNamePattern, minLength: 1 }),
  /** PKCS #10 in PEM, ECDSA P-256. */
  csr: Type.String({ minLength: 1, maxLength: 4096 }),
  /** False: the gateway reads its own files, and is only known by name. */
  connected: Type.Boolean(),
  /** Ids; what the token is for stands in for them. */
  organization: Type.Optional(text(256)),
  environment: Type.Optional(text(256)),
  /** Id of a gateway group. */
  group: Type.Optional(text(256)),
  /** Of the gateway's software. */
  version: Type.Optional(text(64)),
})
export type RegistrationRequest = Static<typeof registrationRequestSchema>

const urls = Type.Object({
  /** Base URLs with client certificates, in the order in which they are tried. */
  sync: Type.Array(Type.String({ pattern: '^https://', maxLength: 2048 }), { minItems: 1, maxItems: 16 }),
  /** Base URL without client certificates: registration and renewal by credentials. */
  platform: Type.String({ pattern: '^https://', maxLength: 2048 }),
})

/** Answer 201 to `POST registrations`. */
export const registrationAnswerSchema = Type.Object({
  /** UUID; it is also the common name of the certificate. */
  id: text(64),
  name: text(64),
  connected: Type.Boolean(),
  group: Type.Object({ id: text(256), name: text(256) }),
  organization: text(256),
  environment: text(256),
  region: Type.Optional(text(64)),
  /** In PEM; certificates between it and the authority follow it. */
  certificate: pem(),
  /** The same as in the trust document. */
  ca: pem(),
  roots: trustSchema.properties.roots,
  urls,
})
export type RegistrationAnswer = Static<typeof registrationAnswerSchema>

/** Body of `POST renewal`: over a connection with the certificate that is to be renewed, or with an access token. */
export const renewalRequestSchema = Type.Object({ csr: Type.String({ minLength: 1, maxLength: 4096 }) })
export type RenewalRequest = Static<typeof renewalRequestSchema>

/** Answer 200 to `POST renewal`. Root keys are never renewed over the network. */
export const renewalAnswerSchema = Type.Object({ certificate: pem(), ca: pem(), urls })
export type RenewalAnswer = Static<typeof renewalAnswerSchema>

/** Answer to a login. */
export const accessTokenSchema = Type.Object(
  {
    access_token: text(8192),
    token_type: Type.Optional(text(64)),
    /** Seconds. */
    expires_in: Type.Optional(count()),
  },
  open,
)

/** Body of every answer with a status from 400 on. */
export const problemSchema = Type.Object({ status: Type.Integer(), message: Type.String() }, open)

/** States of what a gateway has been sent. */
export const configurationStates = ['none', 'applying', 'applied', 'refused'] as const

const finding = Type.Object(
  {
    code: text(64),
    severity: Type.Enum(['error', 'warning', 'info']),
    path: Type.String({ maxLength: 1024 }),
    message: Type.String({ maxLength: 2048 }),
    hint: Type.Optional(Type.String({ maxLength: 2048 })),
  },
  open,
)

const refusal = Type.Object({
  code: Type.Enum([...refusalCodes]),
  message: Type.String({ maxLength: 2048 }),
  findings: Type.Array(finding, { maxItems: 100 }),
})
export type ReportedRefusal = Static<typeof refusal>

/** Body of `POST heartbeat`: API7's, and one member of our own. */
export const heartbeatSchema = Type.Object(
  {
    /** Chosen by the gateway, kept by it; the answer may give it another. */
    instance_id: text(128),
    /** New with each start. */
    run_id: text(128),
    subsystem: Type.Optional(Type.Enum(['http', 'stream'])),
    hostname: text(255),
    ip: Type.String({ maxLength: 64 }),
    version: text(64),
    ports: Type.Array(Type.Integer({ minimum: 0, maximum: 65_535 }), { maxItems: 256 }),
    /** Data threads. */
    cores: count(),
    /** Requests since the last heartbeat that was answered with 200. */
    api_calls: count(),
    /** Version of the configuration that is in force; 0: none. */
    control_plane_revision: count(),
    probe_result: Type.Optional(
      Type.Object({ service_registries: Type.Optional(Type.Array(Type.Unsafe({}))) }, open),
    ),
    /** Absent from other agents of the same contract. */
    sluice: Type.Optional(
      Type.Object(
        {
          configuration: Type.Object({
            state: Type.Enum([...configurationStates]),
            version: count(),
            sha256: Type.Optional(digest()),
            /** Why the last bundle is not in use. */
            refusal: Type.Optional(refusal),
            /** What is in force has expired. */
            stale: Type.Boolean(),
          }),
          certificate: Type.Object({ serial: text(64), not_after: count() }),
          /** Traffic listeners. */
          status: Type.Enum(['STARTED', 'STOPPED']),
          /** Seconds by which the gateway's clock is ahead of the control plane's. */
          clock_skew: Type.Number(),
          /** Of the process, seconds since 1970. */
          started: count(),
        },
        open,
      ),
    ),
  },
  open,
)
export type Heartbeat = Static<typeof heartbeatSchema>

/** Answer 200 to a heartbeat. What stands in it is advice: nothing of it changes how traffic is treated. */
export const heartbeatAnswerSchema = Type.Object(
  {
    gateway_group_id: Type.Optional(text(256)),
    instance_id: Type.Optional(text(128)),
    config: Type.Optional(
      Type.Object(
        {
          /** The newest version of the group. */
          config_version: Type.Optional(count()),
          config_payload: Type.Optional(Type.Unsafe({})),
        },
        open,
      ),
    ),
  },
  open,
)
export type HeartbeatAnswer = Static<typeof heartbeatAnswerSchema>

/** Characters of metrics in one upload. */
export const maxMetricsBytes = 512 * 1024

/** Body of `POST metrics`, as API7's agents send it. Answer: 200. */
export const metricsReportSchema = Type.Object(
  {
    instance_id: text(128),
    /** In the text format of Prometheus. */
    metrics: Type.String({ maxLength: maxMetricsBytes }),
    /** There is more than fits. */
    truncated: Type.Optional(Type.Boolean()),
  },
  open,
)
export type MetricsReport = Static<typeof metricsReportSchema>

/** In one upload. */
export const mostUpstreamsOfHealth = 1000

/** Body of `POST healthcheck`, as API7's agents send it. Answer: 200. */
export const healthReportSchema = Type.Object(
  {
    instance_id: text(128),
    data: Type.Array(
      Type.Object(
        {
          upstream_id: text(512),
          nodes: Type.Array(
            Type.Object(
              {
                host: text(255),
                port: Type.Integer({ minimum: 0, maximum: 65_535 }),
                status: Type.Enum(['healthy', 'unhealthy']),
              },
              open,
            ),
            { maxItems: 10_000 },
          ),
        },
        open,
      ),
      { maxItems: mostUpstreamsOfHealth },
    ),
  },
  open,
)
export type HealthReport = Static<typeof healthReportSchema>

/** In one upload. */
export const mostLinesOfLog = 200

/** Body of `POST logs`. Answer: 200. */
export const logReportSchema = Type.Object({
  instance_id: text(128),
  /** JSON, the oldest first. */
  lines: Type.Array(Type.String({ maxLength: 8192 }), { maxItems: mostLinesOfLog }),
  /** How many are missing in front of them. */
  dropped: Type.Optional(count()),
})
export type LogReport = Static<typeof logReportSchema>

/** Body of `POST acknowledgements`. Answer: 204. */
export const acknowledgementSchema = Type.Object({
  instance_id: text(128),
  version: count(),
  sha256: Type.Optional(digest()),
  outcome: Type.Enum(['applied', 'refused']),
  refusal: Type.Optional(refusal),
})
export type Acknowledgement = Static<typeof acknowledgementSchema>

/** The configuration itself, whose canonical JSON is what a manifest has the hash of. */
export const configurationSchema = Type.Object({
  /** What a file of the gateway may hold, without `gateway`: routes, services, upstreams, consumers and so on. */
  resources: Type.Record(Type.String(), Type.Unsafe<unknown>({})),
  /** Of the Gateway Manager API; see `runtime-configuration.ts` of the agent for its fields. */
  runtime_configuration: Type.Optional(Type.Record(Type.String(), Type.Unsafe<unknown>({}))),
  desired_status: Type.Optional(Type.Enum(['STARTED', 'STOPPED'])),
})
export type SyncedConfiguration = Static<typeof configurationSchema>
