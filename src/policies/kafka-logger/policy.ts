import { definePolicy, type Exchange, openInApisix, Type } from '../kit/index.ts'
import {
  batchedLogger,
  entryFields,
  expressionFindings,
  isSecretName,
  KafkaSink,
  kafkaFields,
  kafkaSinkOptions,
  type LogEntries,
  loggedUri,
  loggerMetadata,
} from '../kit/logging/index.ts'

/** Entries for Apache Kafka; configuration and messages of APISIX's `kafka-logger`. */
export default definePolicy({
  name: 'kafka-logger',
  summary: 'Sends an entry about each exchange to a topic of Apache Kafka, in batches.',
  details:
    'A batch is one message: a list of entries, or with `batch_max_size: 1` the entry itself. With `key` all messages go to ' +
    'the partition that its checksum chooses, else to one after the other. Messages are sent when a batch leaves, and a batch ' +
    'is delivered when the brokers say so: `producer_type` and the other settings of the producer, `cluster_name` and ' +
    '`api_version` have no effect, and every message has the time of its batch. Brokers from 0.11 on are understood. ' +
    'With `meta_format: origin` an entry is the request as text; values of fields that hold credentials are blacked out.',
  stage: 'transform',
  priority: 403,
  version: 0.1,
  config: Type.Object(
    {
      meta_format: Type.Enum(['default', 'origin'], {
        default: 'default',
        description: '`origin`: the request as text in place of an entry.',
      }),
      broker_list: Type.Optional(
        Type.Record(Type.String(), Type.Integer({ minimum: 1, maximum: 65_535 }), {
          minProperties: 1,
          description: 'Brokers in a form of long ago: hosts with their ports.',
        }),
      ),
      ...kafkaFields,
      tls: Type.Optional(
        Type.Object(
          {
            verify: Type.Boolean({
              default: false,
              description: 'Whether the certificates of brokers are verified.',
            }),
          },
          { ...openInApisix, description: 'Speaks TLS with brokers.' },
        ),
      ),
      timeout: Type.Integer({ minimum: 1, default: 3, description: 'Seconds that a broker may take.' }),
      ...entryFields('kafka logger'),
      producer_batch_num: noEffect(1, 200),
      producer_batch_size: noEffect(0, 1_048_576),
      producer_max_buffering: noEffect(1, 50_000),
      producer_time_linger: noEffect(1, 1),
      api_version: Type.Enum([0, 1, 2], { default: 1, description: 'Has no effect.' }),
    },
    {
      ...openInApisix,
      oneOf: [{ required: ['broker_list', 'kafka_topic'] }, { required: ['brokers', 'kafka_topic'] }],
    },
  ),
  metadata: loggerMetadata,
  validate: expressionFindings,
  create(config, host) {
    const { broker_list: list = {}, brokers = [], tls, meta_format: format } = config
    const all = [...brokers, ...Object.entries(list).map(([name, port]) => ({ host: name, port }))]
    const sink = new KafkaSink({
      ...kafkaSinkOptions({ ...config, brokers: all }),
      timeout: config.timeout * 1000,
      ...(tls && { tls: { verify: tls.verify } }),
      now: () => host.now(),
    })
    const isSingle = config.batch_max_size === 1
    return batchedLogger<string>(config, host, {
      entry(exchange, entries) {
        if (format === 'origin') return originOf(exchange, entries, config.include_req_body)
        return JSON.stringify(entries.read(exchange))
      },
      send(entries) {
        if (isSingle) return sink.send(entries[0]!)
        const texts = format === 'origin' ? entries.map((entry) => JSON.stringify(entry)) : entries
        return sink.send(`[${texts.join(',')}]`)
      },
    })
  },
})

function noEffect(minimum: number, value: number) {
  return Type.Integer({ minimum, default: value, description: 'Has no effect.' })
}

/** The request as it might have come: fields as one of each name. */
function originOf(exchange: Exchange, entries: LogEntries, withBody: boolean): string {
  const { request } = exchange
  let text = `${request.method} ${loggedUri(exchange)} HTTP/${request.version}\r\n`
  request.headers.forEach((name, value) => {
    text += `${name.toLowerCase()}: ${isSecretName(name) ? '***' : value}\r\n`
  })
  text += '\r\n'
  if (!withBody) return text
  const { body } = (entries.read(exchange).request ?? {}) as { body?: string }
  return text + (body ?? '')
}
