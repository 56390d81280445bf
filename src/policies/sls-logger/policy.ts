import { definePolicy, openInApisix, Type } from '../kit/index.ts'
import {
  batchedLogger,
  batchTimeout,
  entryFields,
  expressionFindings,
  loggerMetadata,
  syslogLine,
  TcpSink,
} from '../kit/logging/index.ts'

/** Entries for Alibaba Cloud's Log Service; configuration and lines of APISIX's `sls-logger`. */
export default definePolicy({
  name: 'sls-logger',
  summary: 'Sends an entry about each exchange to the Log Service of Alibaba Cloud, in batches.',
  details:
    'Batches are lines of syslog (RFC 5424) over TLS, whose structured data names project, store and key.',
  stage: 'transform',
  priority: 406,
  version: 0.1,
  config: Type.Object(
    {
      host: Type.String({ description: 'Name of the server.' }),
      port: Type.Integer({ description: 'Its port.' }),
      project: Type.String({ description: 'The project.' }),
      logstore: Type.String({ description: 'The store.' }),
      access_key_id: Type.String({ description: 'Name of the key.' }),
      access_key_secret: Type.String({ description: 'The key.', 'x-secret': true }),
      timeout: batchTimeout(5000),
      ssl_verify: Type.Boolean({
        default: true,
        description: 'Whether the certificate of the server is verified.',
      }),
      ...entryFields('sls-logger'),
    },
    openInApisix,
  ),
  metadata: loggerMetadata,
  validate: expressionFindings,
  create(config, host) {
    const { port, timeout, ssl_verify: verify } = config
    const sink = new TcpSink({ host: config.host, port, timeout, tls: { servername: config.host, verify } })
    const data = `[logservice ${Object.entries({
      project: config.project,
      logstore: config.logstore,
      'access-key-id': config.access_key_id,
      'access-key-secret': config.access_key_secret,
    })
      .map(([name, value]) => `${name}="${value}"`)
      .join(' ')}]`
    return batchedLogger<string>(config, host, {
      entry: (exchange, entries) =>
        syslogLine(exchange.request.host, JSON.stringify(entries.read(exchange)), host.now(), data),
      send: (lines) => sink.send(lines.join('')),
    })
  },
})
