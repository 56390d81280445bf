import { callTimeout, definePolicy, keepAliveFields, openInApisix, Type } from '../kit/index.ts'
import {
  anyServer,
  batchedLogger,
  batchFields,
  HttpSink,
  serverList,
  serversFinding,
  textOfBytes,
  webAddress,
} from '../kit/logging/index.ts'

const pendingEvents = 8192
const text = (description: string) => Type.String({ description })

/** Usage events for Lago; configuration and events of APISIX's `lago`. */
export default definePolicy({
  name: 'lago',
  summary: 'Sends an event of usage about each exchange to Lago, in batches.',
  details:
    'Ids of events and values of `event_properties` may hold variables. Batches go to one of the servers, taken at random; a ' +
    'status of 300 and above is a failure.',
  stage: 'transform',
  priority: 415,
  version: 0.1,
  config: Type.Object(
    {
      endpoint_addrs: serverList(webAddress),
      endpoint_uri: Type.String({
        minLength: 1,
        default: '/api/v1/events/batch',
        description: 'Path for batches.',
      }),
      token: Type.String({ description: 'Key of the API of Lago.', 'x-secret': true }),
      event_transaction_id: text('Id of an event, by which Lago tells those that it has: `req_$request_id`.'),
      event_subscription_id: text('Id of the subscription that is charged: `cus_$consumer_name`.'),
      event_code: text('Code of the billable metric.'),
      event_properties: Type.Optional(
        Type.Record(Type.String(), Type.String({ minLength: 1 }), {
          description: 'Further members of events: names, and texts with variables.',
        }),
      ),
      ssl_verify: Type.Boolean({
        default: true,
        description: 'Whether the certificate of the server is verified.',
      }),
      timeout: callTimeout({ maximum: 60_000 }),
      ...keepAliveFields(5),
      ...batchFields('lago logger'),
      batch_max_size: Type.Integer({ minimum: 1, default: 100, description: 'Events of a full batch.' }),
    },
    openInApisix,
  ),
  metadata: Type.Object(
    {
      max_pending_entries: Type.Integer({
        minimum: 1,
        default: pendingEvents,
        description: 'Events that wait to be delivered at most, on each thread.',
      }),
    },
    openInApisix,
  ),
  validate: serversFinding,
  create(config, host) {
    const { endpoint_uri: path, timeout, ssl_verify: verify } = config
    const server = anyServer(config)
    const sink = new HttpSink({
      timeout,
      verify,
      keepAlive: config.keepalive ? config.keepalive_timeout : 1,
      accepts: (status) => status < 300,
    })
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${config.token}` }
    const transaction = host.template(config.event_transaction_id)
    const subscription = host.template(config.event_subscription_id)
    const properties = Object.entries(config.event_properties ?? {}).map(
      ([name, value]) => [name, host.template(value)] as const,
    )
    return batchedLogger<string>(config, host, {
      entry: (exchange) =>
        JSON.stringify({
          transaction_id: textOfBytes(transaction(exchange)),
          external_subscription_id: textOfBytes(subscription(exchange)),
          code: config.event_code,
          timestamp: Math.round(exchange.timings.startedAt) / 1000,
          ...(config.event_properties && {
            properties: Object.fromEntries(
              properties.map(([name, fill]) => [name, textOfBytes(fill(exchange))]),
            ),
          }),
        }),
      async send(events) {
        await sink.post(new URL(server() + path), headers, `{"events":[${events.join(',')}]}`)
      },
    })
  },
})
