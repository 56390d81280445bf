/** How the gateway's own log is sent elsewhere: the `plugin_metadata` of `error-log-logger`. */
import { type Static, Type } from '../../../config/type.ts'
import { openInApisix } from '../fields.ts'
import { batchFields, webAddress } from './fields.ts'

/** From the gravest on. */
const levels = [
  'STDERR',
  'EMERG',
  'ALERT',
  'CRIT',
  'ERR',
  'ERROR',
  'WARN',
  'NOTICE',
  'INFO',
  'DEBUG',
] as const

const server = {
  host: Type.String({ description: 'Address or name of the server.' }),
  port: Type.Integer({ minimum: 0, description: 'Its port.' }),
}
const security = {
  tls: Type.Boolean({ default: false, description: 'Whether to speak TLS.' }),
  tls_server_name: Type.Optional(Type.String({ description: 'Name of the server in TLS.' })),
}
const clickhouseNames = ['endpoint_addr', 'user', 'password', 'database', 'logtable']
const { inactive_timeout: _inactive, batch_max_size: _size, ...batch } = batchFields('error-log-logger')

export const shippedLogSettings = Type.Object(
  {
    tcp: Type.Optional(
      Type.Object(
        { ...server, ...security },
        { ...openInApisix, description: 'A server that takes lines over TCP.' },
      ),
    ),
    skywalking: Type.Optional(
      Type.Object(
        {
          endpoint_addr: webAddress('Where logs are posted.', { default: 'http://127.0.0.1:12900/v3/logs' }),
          service_name: Type.String({ default: 'APISIX', description: 'Name of the service.' }),
          service_instance_name: Type.String({
            default: 'APISIX Service Instance',
            description: 'Name of this instance of it; `$hostname` is the name of the host.',
          }),
        },
        { ...openInApisix, description: 'SkyWalking.' },
      ),
    ),
    clickhouse: Type.Optional(
      Type.Object(
        {
          endpoint_addr: webAddress('The server.', { default: 'http://127.0.0.1:8123' }),
          user: Type.String({ default: 'default', description: 'User.' }),
          password: Type.String({ default: '', description: 'Password.', 'x-secret': true }),
          database: Type.String({ default: '', description: 'Database.' }),
          logtable: Type.String({ default: '', description: 'Table, with a column `data`.' }),
        },
        {
          ...openInApisix,
          description: 'ClickHouse.',
          'x-apisix': { ...openInApisix['x-apisix'], required: clickhouseNames },
        },
      ),
    ),
    host: Type.Optional(server.host),
    port: Type.Optional(server.port),
    tls: Type.Optional(Type.Boolean({ description: 'As in `tcp`, for configurations of long ago.' })),
    tls_server_name: security.tls_server_name,
    level: Type.Enum(levels, {
      default: 'WARN',
      description: 'Lines of this level and graver ones are sent.',
    }),
    timeout: Type.Integer({ minimum: 1, default: 3, description: 'Seconds that the server may take.' }),
    keepalive: Type.Integer({
      minimum: 1,
      default: 30,
      description: 'Seconds that an idle connection is kept.',
    }),
    ...batch,
    inactive_timeout: Type.Integer({
      minimum: 1,
      default: 3,
      description: 'Seconds without a new line after which a batch leaves.',
    }),
    batch_max_size: Type.Integer({ minimum: 0, default: 1000, description: 'Lines of a full batch.' }),
  },
  {
    ...openInApisix,
    oneOf: [
      { required: ['skywalking'] },
      { required: ['tcp'] },
      { required: ['clickhouse'] },
      { required: ['kafka'] },
      { required: ['host', 'port'] },
    ],
    'x-unsupported': { kafka: 'sending the log to Kafka' },
  },
)

export type ShippedLogSettings = Static<typeof shippedLogSettings>
