/** A topic of Kafka that takes batches: finds its partitions and who leads them, and sends each message to one. */
import { crc32 } from 'node:zlib'
import { apis, Broker, type BrokerAddress, type BrokerOptions } from './broker.ts'
import { type KafkaMessage, recordBatch } from './record-batch.ts'
import type { SaslCredentials } from './sasl.ts'
import { type KafkaReader, KafkaWriter } from './wire.ts'

export interface KafkaSinkOptions extends Omit<BrokerOptions, 'sasl'> {
  readonly brokers: readonly (BrokerAddress & { readonly sasl?: SaslCredentials | undefined })[]
  readonly topic: string
  /** Of a message that is sent alone. Those with the same key go to the same partition; null: to one after the other. */
  readonly key: string | null
  /** 1: the leader has it; -1: its followers have it too. */
  readonly acks: 1 | -1
  /** Milliseconds after which partitions are asked for again. */
  readonly refresh: number
  now(): number
}

interface Topology {
  readonly readAt: number
  /** Leaders by partition; undefined: it has none. */
  readonly leaders: readonly (BrokerAddress | undefined)[]
}

/** Numbers of errors with the names that Kafka gives them, as far as an operator can do something about them. */
const errorNames: Readonly<Record<number, string>> = {
  3: 'UNKNOWN_TOPIC_OR_PARTITION',
  5: 'LEADER_NOT_AVAILABLE',
  6: 'NOT_LEADER_OR_FOLLOWER',
  7: 'REQUEST_TIMED_OUT',
  10: 'MESSAGE_TOO_LARGE',
  17: 'INVALID_TOPIC_EXCEPTION',
  19: 'NOT_ENOUGH_REPLICAS',
  20: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  29: 'TOPIC_AUTHORIZATION_FAILED',
  31: 'CLUSTER_AUTHORIZATION_FAILED',
}

export class KafkaSink {
  readonly #options: KafkaSinkOptions
  readonly #connections = new Map<string, Promise<Broker>>()
  #topology: Promise<Topology> | undefined
  #turn = 0

  constructor(options: KafkaSinkOptions) {
    this.#options = options
  }

  /** @throws Error that names brokers and topic, and nothing of the message */
  send(value: string): Promise<void> {
    return this.sendAll([{ key: this.#options.key, value }])
  }

  /**
   * Those without a key go to one partition, another each time. What was taken of them before something failed is not told.
   * @throws Error as `send`
   */
  async sendAll(messages: readonly KafkaMessage[]): Promise<void> {
    const { leaders } = await this.#topologyNow()
    const turn = messages.some(({ key }) => key === null) ? this.#turn++ : 0
    const byPartition = Map.groupBy(
      messages,
      ({ key }) => (key === null ? turn : crc32(key)) % leaders.length,
    )
    try {
      for (const [partition, some] of byPartition) await this.#produce(partition, leaders[partition], some)
    } catch (error) {
      // The cluster may have other leaders by now.
      this.#topology = undefined
      throw error
    }
  }

  close(): void {
    for (const opening of this.#connections.values()) {
      opening.then(
        (broker) => broker.close(),
        () => {},
      )
    }
    this.#connections.clear()
  }

  async #produce(
    partition: number,
    leader: BrokerAddress | undefined,
    messages: readonly KafkaMessage[],
  ): Promise<void> {
    const { topic, acks, timeout, now } = this.#options
    if (leader === undefined) throw this.#refused(5)
    const broker = await this.#open(leader)
    const request = new KafkaWriter().text(null).int16(acks).int32(timeout).int32(1).text(topic)
    request
      .int32(1)
      .int32(partition)
      .bytes(recordBatch(messages, Math.round(now())))
    const error = produceError(await broker.ask(apis.produce, request.finish()))
    if (error !== 0) throw this.#refused(error)
  }

  #refused(error: number): Error {
    return new Error(
      `Kafka does not take messages for ${this.#options.topic} (${errorNames[error] ?? error})`,
    )
  }

  async #topologyNow(): Promise<Topology> {
    const { now, refresh } = this.#options
    const known = await this.#topology?.catch(() => undefined)
    if (known !== undefined && now() - known.readAt < refresh) return known
    this.#topology = this.#askForTopology()
    return this.#topology
  }

  /** The first broker that answers tells. */
  async #askForTopology(): Promise<Topology> {
    const { brokers, topic, now } = this.#options
    const body = new KafkaWriter().int32(1).text(topic).int8(1).finish()
    let problem: unknown
    for (const address of brokers) {
      try {
        const broker = await this.#open(address)
        const { error, leaders } = readTopology(await broker.ask(apis.metadata, body))
        if (error !== 0 || leaders.length === 0) throw this.#refused(error === 0 ? 3 : error)
        return { readAt: now(), leaders }
      } catch (error) {
        problem = error
      }
    }
    throw problem
  }

  async #open(address: BrokerAddress): Promise<Broker> {
    const { brokers, timeout, tls } = this.#options
    const name = `${address.host}:${address.port}`
    const known = await this.#connections.get(name)?.catch(() => undefined)
    if (known?.isOpen) return known
    const named = brokers.find(({ host, port }) => host === address.host && port === address.port)
    const { sasl } = named ?? brokers[0]!
    const opening = Broker.open(address, { timeout, tls, sasl })
    this.#connections.set(name, opening)
    return opening
  }
}

function readTopology(answer: KafkaReader): { error: number; leaders: (BrokerAddress | undefined)[] } {
  const brokers = new Map<number, BrokerAddress>()
  answer.skip(4)
  answer.list(() => {
    const id = answer.int32()
    const host = answer.text() ?? ''
    brokers.set(id, { host, port: answer.int32() })
    answer.text()
  })
  answer.text()
  answer.skip(4)
  const [topic] = answer.list(() => {
    const error = answer.int16()
    answer.text()
    answer.skip(1)
    const leaders: (BrokerAddress | undefined)[] = []
    answer.list(() => {
      answer.skip(2)
      const index = answer.int32()
      const leader = brokers.get(answer.int32())
      answer.list(() => answer.skip(4))
      answer.list(() => answer.skip(4))
      if (index >= 0 && index < mostPartitions) leaders[index] = leader
    })
    return { error, leaders }
  })
  return topic ?? { error: 3, leaders: [] }
}

const mostPartitions = 100_000

function produceError(answer: KafkaReader): number {
  let error = 0
  answer.list(() => {
    answer.text()
    answer.list(() => {
      answer.skip(4)
      error ||= answer.int16()
      answer.skip(16)
    })
  })
  return error
}
