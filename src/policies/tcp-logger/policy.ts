import { definePolicy, openInApisix, Type } from '../kit/index.ts'
import {
  batchedLogger,
  batchTimeout,
  entryFields,
  expressionFindings,
  loggerMetadata,
  TcpSink,
} from '../kit/logging/index.ts'

/** Entries for a server over TCP; configuration and entries of APISIX's `tcp-logger`. */
export default definePolicy({
  name: 'tcp-logger',
  summary: 'Sends an entry about each exchange to a server over TCP or TLS, in batches.',
  details:
    'Each batch has a connection of its own: a list of JSON objects, or a single one with `batch_max_size: 1`. With `tls` ' +
    'the certificate of the server is not verified, as in APISIX; `tls_options` is the name that is asked for (SNI).',
  stage: 'transform',
  priority: 405,
  version: 0.1,
  config: Type.Object(
    {
      host: Type.String({ description: 'Address or name of the server.' }),
      port: Type.Integer({ minimum: 0, description: 'Its port.' }),
      tls: Type.Boolean({ default: false, description: 'Whether to speak TLS.' }),
      tls_options: Type.Optional(Type.String({ description: 'Name of the server in TLS.' })),
      timeout: batchTimeout(1000),
      ...entryFields('tcp logger'),
    },
    openInApisix,
  ),
  metadata: loggerMetadata,
  validate: expressionFindings,
  create(config, host) {
    const { timeout, tls, tls_options: servername } = config
    const sink = new TcpSink({
      host: config.host,
      port: config.port,
      timeout,
      ...(tls && { tls: { verify: false, ...(servername !== undefined && { servername }) } }),
    })
    const single = config.batch_max_size === 1
    return batchedLogger<string>(config, host, {
      entry: (exchange, entries) => JSON.stringify(entries.read(exchange)),
      send: (entries) => sink.send(single ? entries[0]! : `[${entries.join(',')}]`),
    })
  },
})
