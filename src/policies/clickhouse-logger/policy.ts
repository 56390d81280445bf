import { definePolicy, openInApisix, Type } from '../kit/index.ts'
import {
  anyServer,
  batchedLogger,
  entryFields,
  expressionFindings,
  HttpSink,
  loggerMetadata,
  serverFields,
  serversFinding,
  webAddress,
} from '../kit/logging/index.ts'

const fields = ['user', 'password', 'database', 'logtable']

/** Rows for ClickHouse; configuration and statements of APISIX's `clickhouse-logger`. */
export default definePolicy({
  name: 'clickhouse-logger',
  summary: 'Inserts an entry about each exchange into a table of ClickHouse, in batches.',
  details:
    'A batch is an `INSERT INTO ... FORMAT JSONEachRow` to one of the servers, taken at random. A status of 400 and above is ' +
    'a failure.',
  stage: 'transform',
  priority: 398,
  version: 0.1,
  config: Type.Object(
    {
      ...serverFields(webAddress),
      user: Type.String({ default: '', description: 'User.' }),
      password: Type.String({ default: '', description: 'Password.', 'x-secret': true }),
      database: Type.String({ default: '', description: 'Database.' }),
      logtable: Type.String({ default: '', description: 'Table.' }),
      timeout: Type.Integer({ minimum: 1, default: 3, description: 'Seconds that the server may take.' }),
      ssl_verify: Type.Boolean({
        default: true,
        description: 'Whether the certificate of the server is verified.',
      }),
      ...entryFields('clickhouse logger'),
    },
    {
      oneOf: [{ required: ['endpoint_addr', ...fields] }, { required: ['endpoint_addrs', ...fields] }],
      ...openInApisix,
    },
  ),
  metadata: loggerMetadata,
  validate: (config) => serversFinding(config) ?? expressionFindings(config),
  create(config, host) {
    const { user, password, database, logtable, timeout, ssl_verify: verify } = config
    const server = anyServer(config)
    const sink = new HttpSink({ timeout: timeout * 1000, verify, accepts: (status) => status < 400 })
    const headers = {
      'content-type': 'application/json',
      'x-clickhouse-user': user,
      'x-clickhouse-key': password,
      'x-clickhouse-database': database,
    }
    return batchedLogger<string>(config, host, {
      entry: (exchange, entries) => JSON.stringify(entries.read(exchange)),
      async send(rows) {
        await sink.post(
          new URL(server()),
          headers,
          `INSERT INTO ${logtable} FORMAT JSONEachRow ${rows.join(' ')}`,
        )
      },
    })
  },
})
