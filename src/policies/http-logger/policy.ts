import { definePolicy, openInApisix, Type } from '../kit/index.ts'
import {
  addressFinding,
  batchedLogger,
  batchFields,
  bodyFields,
  expressionFindings,
  formatFields,
  HttpSink,
  loggerMetadata,
  webAddress,
} from '../kit/logging/index.ts'

/** Entries for a server over HTTP; configuration and entries of APISIX's `http-logger`. */
export default definePolicy({
  name: 'http-logger',
  summary: 'Sends an entry about each exchange to a server over HTTP, in batches.',
  details:
    'A batch is a list of JSON objects, or a single one with `batch_max_size: 1`; with `concat_method: new_line` one ' +
    'JSON object a line. A status of 400 and above is a failure. `Authorization` is sent when `auth_header` is set.',
  stage: 'transform',
  priority: 410,
  version: 0.1,
  config: Type.Object(
    {
      uri: webAddress('Where batches go.'),
      auth_header: Type.Optional(
        Type.String({ description: '`Authorization` for the server.', 'x-secret': true }),
      ),
      timeout: Type.Integer({ minimum: 1, default: 3, description: 'Seconds that the server may take.' }),
      ...formatFields,
      ...bodyFields,
      concat_method: Type.Enum(['json', 'new_line'], {
        default: 'json',
        description: 'How a batch is put together: one list, or an entry a line.',
      }),
      ssl_verify: Type.Boolean({
        default: false,
        description: 'Whether the certificate of the server is verified.',
      }),
      ...batchFields('http logger'),
    },
    openInApisix,
  ),
  metadata: loggerMetadata,
  validate: (config) => addressFinding({ uri: config.uri }) ?? expressionFindings(config),
  create(config, host) {
    const { uri, auth_header: authorization, timeout, concat_method: method, ssl_verify: verify } = config
    const url = new URL(uri)
    const sink = new HttpSink({ timeout: timeout * 1000, verify, accepts: (status) => status < 400 })
    const headers = {
      'content-type': method === 'json' ? 'application/json' : 'text/plain',
      ...(authorization !== undefined && { authorization }),
    }
    const single = config.batch_max_size === 1

    function join(entries: readonly string[]): string {
      if (single) return entries[0]!
      return method === 'json' ? `[${entries.join(',')}]` : entries.join('\n')
    }

    return batchedLogger<string>(config, host, {
      entry(exchange, entries) {
        const entry = entries.read(exchange)
        entry.route_id ??= 'no-matched'
        return JSON.stringify(entry)
      },
      async send(entries) {
        await sink.post(url, headers, join(entries))
      },
    })
  },
})
