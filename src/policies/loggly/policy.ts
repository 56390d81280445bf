import { definePolicy, openInApisix, Type } from '../kit/index.ts'
import {
  batchedLogger,
  batchFields,
  bodyFields,
  expressionFindings,
  formatFields,
  HttpSink,
  loggerMetadata,
  PartlyDelivered,
  syslogHost,
  timestamp,
  UdpSink,
} from '../kit/logging/index.ts'

/** As APISIX spells and numbers them. */
const severities = { EMEGR: 0, ALERT: 1, CRIT: 2, ERR: 3, WARNING: 4, NOTICE: 5, INFO: 6, DEBUG: 7 } as const
const upper = Object.keys(severities) as (keyof typeof severities)[]
const spellings = upper.flatMap((name) => [name, name.toLowerCase()])
/** Of `user`. */
const facility = 8

const server = { host: 'logs-01.loggly.com', port: 514, protocol: 'syslog', timeout: 5000 } as const

/** Entries for Loggly; configuration and messages of APISIX's `loggly`. */
export default definePolicy({
  name: 'loggly',
  summary: 'Sends an entry about each exchange to Loggly, over syslog or in batches over HTTP.',
  details:
    'Where to is in `plugin_metadata`. Over `syslog` each entry is a datagram; over `http` and `https` batches go to the ' +
    'bulk endpoint, one JSON object a line.',
  stage: 'transform',
  priority: 411,
  version: 0.1,
  config: Type.Object(
    {
      customer_token: Type.String({ description: 'Token of the account.', 'x-secret': true }),
      severity: Type.Enum(spellings, { default: 'INFO', description: 'Severity of messages.' }),
      severity_map: Type.Optional(
        Type.Record(Type.String(), Type.Enum(spellings), {
          propertyNames: { pattern: '^[1-5][0-9]{2}$' },
          description: 'Severity by the status of the answer.',
        }),
      ),
      tags: Type.Array(Type.String({ pattern: '^(?!tag=)[ -~]*' }), {
        minItems: 1,
        default: ['apisix'],
        description: 'Tags of messages.',
      }),
      ssl_verify: Type.Boolean({
        default: true,
        description: 'Whether the certificate of the server is verified.',
      }),
      ...formatFields,
      ...bodyFields,
      ...batchFields('loggly'),
    },
    openInApisix,
  ),
  metadata: Type.Object(
    {
      ...loggerMetadata.properties,
      host: Type.String({ default: server.host, description: 'The server.' }),
      port: Type.Integer({ default: server.port, description: 'Its port, for `syslog`.' }),
      protocol: Type.Enum(['syslog', 'http', 'https'], {
        default: server.protocol,
        description: 'How to speak to it.',
      }),
      timeout: Type.Integer({
        minimum: 1,
        default: server.timeout,
        description: 'Milliseconds that it may take.',
      }),
    },
    openInApisix,
  ),
  validate: expressionFindings,
  create(config, host) {
    const { customer_token: token, tags, ssl_verify: verify } = config
    const { host: name, port, protocol, timeout } = host.metadata ?? server
    const udp = new UdpSink(name, port)
    const http = new HttpSink({ timeout, verify, accepts: (status) => status === 200 })
    const address = name.startsWith('http') ? name : `${protocol}://${name}`
    const headers = { 'content-type': 'application/json', 'x-loggly-tag': tags }
    const data = `[${token}@41058 ${tags.map((tag) => `tag="${tag}"`).join(' ')}]`

    function severityOf(status: number): number {
      const found = config.severity_map?.[String(status)] ?? config.severity
      return severities[found.toUpperCase() as keyof typeof severities]
    }

    async function sendDatagrams(messages: readonly string[]): Promise<void> {
      for (const [sent, message] of messages.entries()) {
        try {
          await udp.send(message)
        } catch (error) {
          throw new PartlyDelivered(sent, (error as Error).message)
        }
      }
    }

    return batchedLogger<string>(config, host, {
      entry(exchange, entries) {
        const json = JSON.stringify(entries.read(exchange))
        if (protocol !== 'syslog') return json
        const priority = facility + severityOf(exchange.response.status)
        const from = syslogHost(exchange.request.host)
        return `<${priority}>1 ${timestamp(host.now())} ${from} apisix ${process.pid} - ${data} ${json}`
      },
      async send(messages) {
        if (protocol === 'syslog') return sendDatagrams(messages)
        await http.post(
          new URL(`${address.replace(/\/$/, '')}/bulk/${token}/tag/bulk`),
          headers,
          messages.join('\n'),
        )
      },
    })
  },
})
