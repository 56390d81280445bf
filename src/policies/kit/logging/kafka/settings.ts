/** Settings of a topic of Kafka, with the names and defaults of APISIX. */
import { type Static, Type } from '../../../../config/type.ts'
import { openInApisix } from '../../fields.ts'
import type { KafkaSinkOptions } from './kafka-sink.ts'

const saslConfig = Type.Object(
  {
    mechanism: Type.Enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'], {
      default: 'PLAIN',
      description: 'How the broker is shown who sends.',
    }),
    user: Type.String({ description: 'User.' }),
    password: Type.String({ description: 'Password.', 'x-secret': true }),
  },
  { ...openInApisix, description: 'Credentials for the broker.' },
)

const broker = Type.Object(
  {
    host: Type.String({ description: 'Address or name of the broker.' }),
    port: Type.Integer({ minimum: 1, maximum: 65_535, description: 'Its port.' }),
    sasl_config: Type.Optional(saslConfig),
  },
  openInApisix,
)

export const kafkaFields = {
  brokers: Type.Optional(
    Type.Array(broker, {
      minItems: 1,
      uniqueItems: true,
      description: 'Brokers that are asked for the others of their cluster.',
    }),
  ),
  kafka_topic: Type.Optional(Type.String({ description: 'Topic.' })),
  producer_type: Type.Enum(['async', 'sync'], { default: 'async', description: 'Has no effect.' }),
  required_acks: Type.Enum([1, -1], {
    default: 1,
    description: 'Who has a message before it counts as delivered: 1, the leader; -1, its followers too.',
  }),
  key: Type.Optional(Type.String({ description: 'Key of all messages.' })),
  cluster_name: Type.Integer({ minimum: 1, default: 1, description: 'Has no effect.' }),
  meta_refresh_interval: Type.Integer({
    minimum: 1,
    default: 30,
    description: 'Seconds after which partitions are asked for again.',
  }),
}

interface KafkaSettings {
  readonly brokers: readonly Static<typeof broker>[]
  readonly kafka_topic?: string
  readonly key?: string
  readonly required_acks: number
  readonly meta_refresh_interval: number
}

export function kafkaSinkOptions(settings: KafkaSettings) {
  return {
    brokers: settings.brokers.map(({ host, port, sasl_config: sasl }) => ({ host, port, sasl })),
    topic: settings.kafka_topic ?? '',
    key: settings.key ?? null,
    acks: settings.required_acks === -1 ? -1 : 1,
    refresh: settings.meta_refresh_interval * 1000,
  } satisfies Partial<KafkaSinkOptions>
}
