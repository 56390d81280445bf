import { definePolicy, openInApisix, Type } from '../kit/index.ts'
import {
  batchedLogger,
  batchTimeout,
  entryFields,
  expressionFindings,
  loggerMetadata,
  PartlyDelivered,
  syslogLine,
  TcpSink,
  UdpSink,
} from '../kit/logging/index.ts'

/** Entries for a syslog server; configuration and lines of APISIX's `syslog`. */
export default definePolicy({
  name: 'syslog',
  summary: 'Sends a line of syslog (RFC 5424) about each exchange to a server, in batches.',
  details:
    'A batch leaves when it is full or old enough: `flush_limit`, `drop_limit` and `pool_size` have no effect, since what ' +
    'waits is bounded by `max_pending_entries`. Over UDP each line is a datagram. With `tls` the certificate of the server is not verified, as in APISIX.\n\nOn streams a line is about a session; without `log_format` it says who it was, ' +
    'where it went, how it ended, how long it took and how many bytes passed. APISIX has no such entry.',
  stage: 'transform',
  priority: 401,
  stream: {},
  version: 0.1,
  config: Type.Object(
    {
      host: Type.String({ description: 'Address or name of the server.' }),
      port: Type.Integer({ description: 'Its port.' }),
      flush_limit: Type.Integer({ minimum: 1, default: 4096, description: 'Has no effect.' }),
      drop_limit: Type.Integer({ default: 1_048_576, description: 'Has no effect.' }),
      timeout: batchTimeout(3000),
      sock_type: Type.Enum(['tcp', 'udp'], { default: 'tcp', description: 'How to speak to the server.' }),
      pool_size: Type.Integer({ minimum: 5, default: 5, description: 'Has no effect.' }),
      tls: Type.Boolean({ default: false, description: 'Whether to speak TLS, over TCP.' }),
      ...entryFields('sys logger'),
    },
    openInApisix,
  ),
  metadata: loggerMetadata,
  validate: expressionFindings,
  create(config, host) {
    const { port, timeout, tls, sock_type: kind } = config
    const tcp = new TcpSink({ host: config.host, port, timeout, ...(tls && { tls: { verify: false } }) })
    const udp = new UdpSink(config.host, port)

    async function sendDatagrams(lines: readonly string[]): Promise<void> {
      for (const [sent, line] of lines.entries()) {
        try {
          await udp.send(line)
        } catch (error) {
          throw new PartlyDelivered(sent, (error as Error).message)
        }
      }
    }

    return batchedLogger<string>(config, host, {
      entry: (exchange, entries) =>
        syslogLine(exchange.request.host, JSON.stringify(entries.read(exchange)), host.now()),
      send: (lines) => (kind === 'udp' ? sendDatagrams(lines) : tcp.send(lines.join(''))),
    })
  },
})
