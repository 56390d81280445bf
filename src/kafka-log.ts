/** The gateway's own log as messages of Apache Kafka, as the output `kafka` of Fluent Bit makes them of records. */
import type { KafkaOutput } from './config-sync/kafka-output.ts'
import { type KafkaMessage, KafkaSink } from './policies/kit/logging/index.ts'

export class KafkaLog {
  readonly #output: KafkaOutput
  readonly #sinks: ReadonlyMap<string, KafkaSink>

  /** @param timeout milliseconds that a broker may take */
  constructor(output: KafkaOutput, timeout: number) {
    const { brokers, topics, acks, refresh, tls, sasl } = output
    this.#output = output
    this.#sinks = new Map(
      topics.map((topic) => [
        topic,
        new KafkaSink({
          brokers: brokers.map((broker) => ({ ...broker, sasl })),
          topic,
          key: null,
          acks,
          refresh,
          timeout,
          tls,
          now: Date.now,
        }),
      ]),
    )
  }

  /** @param lines objects of JSON */
  async send(lines: readonly string[]): Promise<void> {
    const records = lines.map((line) => recordOf(line, this.#output))
    for (const [topic, some] of Map.groupBy(records, (record) => record.topic)) {
      await this.#sinks.get(topic)!.sendAll(some)
    }
  }

  close(): void {
    for (const sink of this.#sinks.values()) sink.close()
  }
}

/** @param line an object of JSON with its `time`; in the message a timestamp stands before everything */
export function recordOf(line: string, output: KafkaOutput): KafkaMessage & { topic: string } {
  const { topics, topicKey, messageKey, messageKeyField, timestampKey, timestampFormat } = output
  const fields = JSON.parse(line) as Record<string, unknown>
  const textOf = (name: string | undefined) => {
    const value = name === undefined || !Object.hasOwn(fields, name) ? undefined : fields[name]
    return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
  }
  const time = timestampOf(new Date(textOf('time') ?? Date.now()), timestampFormat)
  // The same name in a line gives way.
  const { [timestampKey]: _replaced, ...others } = fields
  return {
    topic: topics.find((topic) => topic === textOf(topicKey)) ?? topics[0],
    key: textOf(messageKeyField) ?? messageKey ?? null,
    value: JSON.stringify({ [timestampKey]: time, ...others }),
  }
}

/** Times of the log have milliseconds; those with nanoseconds get zeros. */
function timestampOf(time: Date, format: KafkaOutput['timestampFormat']): number | string {
  if (format === 'double') return time.getTime() / 1000
  const [seconds, rest] = time.toISOString().split('.') as [string, string]
  return format === 'iso8601' ? `${seconds}Z` : `${seconds}.${rest.slice(0, 3)}000000Z`
}
