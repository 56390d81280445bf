import { Account } from '../kit/google-account.ts'
import { definePolicy, type Exchange, openInApisix, Type } from '../kit/index.ts'
import {
  addressFinding,
  batchedLogger,
  batchFields,
  formatFields,
  HttpSink,
  type LogEntries,
  type LogEntry,
  loggerMetadata,
  openObject,
  timestamp,
} from '../kit/logging/index.ts'

const scopes = (options: object) =>
  Type.Array(Type.String({ description: 'A scope.' }), {
    minItems: 1,
    uniqueItems: true,
    description: 'Scopes of the access token.',
    ...options,
  })

/** Entries for Google Cloud Logging; configuration and entries of APISIX's `google-cloud-logging`. */
export default definePolicy({
  name: 'google-cloud-logging',
  summary: 'Writes an entry about each exchange to Google Cloud Logging, in batches.',
  details:
    'The gateway signs for the service account and keeps the access token until a minute before it expires. `auth_file` is ' +
    'read when the first batch leaves.',
  stage: 'transform',
  priority: 407,
  version: 0.1,
  config: Type.Object(
    {
      auth_config: Type.Optional(
        Type.Object(
          {
            client_email: Type.String({ description: 'Name of the service account.' }),
            private_key: Type.String({ description: 'Its key, PEM.', 'x-secret': true }),
            project_id: Type.String({ description: 'The project.' }),
            token_uri: Type.String({
              default: 'https://oauth2.googleapis.com/token',
              description: 'Where access tokens are given out.',
            }),
            scope: scopes({
              default: [
                'https://www.googleapis.com/auth/logging.read',
                'https://www.googleapis.com/auth/logging.write',
                'https://www.googleapis.com/auth/logging.admin',
                'https://www.googleapis.com/auth/cloud-platform',
              ],
            }),
            scopes: Type.Optional(scopes({ description: 'The same; stronger than `scope`.' })),
            entries_uri: Type.String({
              default: 'https://logging.googleapis.com/v2/entries:write',
              description: 'Where entries are written.',
            }),
          },
          { description: 'The service account.', ...openInApisix },
        ),
      ),
      auth_file: Type.Optional(Type.String({ description: 'A file with the service account, as JSON.' })),
      ssl_verify: Type.Boolean({
        default: true,
        description: 'Whether certificates of servers are verified.',
      }),
      resource: Type.Object(
        {
          type: Type.String({ description: 'Type of the resource.' }),
          labels: Type.Optional(openObject('Its labels.')),
        },
        { default: { type: 'global' }, description: 'The monitored resource.', ...openInApisix },
      ),
      log_id: Type.String({ default: 'apisix.apache.org%2Flogs', description: 'Name of the log.' }),
      ...formatFields,
      ...batchFields('google-cloud-logging'),
    },
    { oneOf: [{ required: ['auth_config'] }, { required: ['auth_file'] }], ...openInApisix },
  ),
  metadata: loggerMetadata,
  validate: ({ auth_config: account }) =>
    addressFinding({
      'auth_config.token_uri': account?.token_uri,
      'auth_config.entries_uri': account?.entries_uri,
    }),
  create(config, host) {
    const sink = new HttpSink({
      timeout: 10_000,
      verify: config.ssl_verify,
      accepts: (status) => status === 200,
    })
    const account = new Account(config.auth_config ?? config.auth_file!, sink, () => host.now())
    const id = host.variable('request_id')

    function entryOf(exchange: Exchange, entries: LogEntries): LogEntry {
      const entry = entries.read(exchange)
      return {
        ...(entries.isCustom
          ? { jsonPayload: entry }
          : {
              httpRequest: requestOf(entry),
              jsonPayload: {
                ...entries.readExtra(exchange),
                route_id: entry.route_id,
                service_id: entry.service_id,
              },
            }),
        labels: { source: 'apache-apisix-google-cloud-logging' },
        timestamp: timestamp(host.now()),
        resource: config.resource,
        insertId: id(exchange),
      }
    }

    return batchedLogger<string>(config, host, {
      // The name of the project may stand in a file that is read later: the entry is left open for it.
      entry: (exchange, entries) => JSON.stringify(entryOf(exchange, entries)).slice(0, -1),
      async send(entries) {
        const { projectId, entriesUri, authorization } = await account.access()
        const name = JSON.stringify(`projects/${projectId}/logs/${config.log_id}`)
        const closed = entries.map((entry) => `${entry},"logName":${name}}`)
        const headers = { 'content-type': 'application/json', authorization }
        await sink.post(
          new URL(entriesUri),
          headers,
          `{"entries":[${closed.join(',')}],"partialSuccess":false}`,
        )
      },
    })
  },
})

function requestOf(entry: LogEntry): LogEntry {
  const { request, response } = entry as { request: LogEntry; response: LogEntry }
  return {
    requestMethod: request.method,
    requestUrl: request.url,
    requestSize: request.size,
    status: response.status,
    responseSize: response.size,
    userAgent: (request.headers as LogEntry)['user-agent'],
    remoteIp: entry.client_ip,
    serverIp: entry.upstream,
    latency: `${((entry.latency as number) / 1000).toFixed(3)}s`,
  }
}
