/** The output `kafka` of Fluent Bit: a topic of Apache Kafka that gets each line of the log as a message. */
import type { OutputParameters } from './output-parameters.ts'

const mechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
const timestampFormats = ['double', 'iso8601', 'iso8601_ns'] as const

export interface KafkaOutput {
  type: 'kafka'
  /** Those that are asked for the others of their cluster. */
  brokers: { host: string; port: number }[]
  /** The first one, unless a line names another of them in its field `topicKey`. */
  topics: [string, ...string[]]
  topicKey?: string
  messageKey?: string
  /** Field of a line whose value is its key. */
  messageKeyField?: string
  timestampKey: string
  timestampFormat: (typeof timestampFormats)[number]
  /** -1: all replicas have it. */
  acks: 1 | -1
  /** Milliseconds after which partitions are asked for again. */
  refresh: number
  tls?: { verify: boolean }
  sasl?: { mechanism: (typeof mechanisms)[number]; user: string; password: string }
}

const protocols = ['plaintext', 'ssl', 'sasl_plaintext', 'sasl_ssl']
const acknowledgements: Readonly<Record<string, 1 | -1>> = { '1': 1, '-1': -1, all: -1 }
const usualPort = '9092'
/** Milliseconds, of librdkafka. */
const usualRefresh = 300_000
const largestRefresh = 3_600_000
/** What Kafka takes as a topic; `.` and `..` are none. */
const topicForm = /^[a-zA-Z0-9._-]{1,249}$/

/** Names of librdkafka for the same thing, the usual one first. */
const brokerNames = ['brokers', 'rdkafka.bootstrap.servers', 'rdkafka.metadata.broker.list']
const ackNames = ['rdkafka.request.required.acks', 'rdkafka.acks']
const mechanismNames = ['rdkafka.sasl.mechanism', 'rdkafka.sasl.mechanisms']
const user = 'rdkafka.sasl.username'
const password = 'rdkafka.sasl.password'
const protocolName = 'rdkafka.security.protocol'
const verification = 'rdkafka.enable.ssl.certificate.verification'
const refreshName = 'rdkafka.topic.metadata.refresh.interval.ms'

const followed = new Set([
  ...brokerNames,
  ...ackNames,
  ...mechanismNames,
  user,
  password,
  protocolName,
  verification,
  refreshName,
  ...['topics', 'topic_key', 'format', 'message_key', 'message_key_field'],
  ...['timestamp_key', 'timestamp_format'],
])

export const kafkaParametersWithoutEffect = (parameters: OutputParameters): string[] =>
  parameters.names().filter((name) => !followed.has(name))

/** @returns what is wrong, in words that repeat no credentials */
export function kafkaOutput(parameters: OutputParameters): KafkaOutput | string {
  const format = parameters.text('format', 'json')
  if (format !== 'json') return `\`format\` is json here, not ${JSON.stringify(format)}`
  const brokers = parameters.words(named(parameters, brokerNames)).map(brokerOf)
  if (brokers.length === 0) return '`brokers` are missing'
  const [topic = 'fluent-bit', ...others] = parameters.words('topics')
  const wrong = [topic, ...others].find((name) => !topicForm.test(name) || /^\.\.?$/.test(name))
  if (wrong !== undefined) return `${JSON.stringify(wrong)} is no name of a topic`
  const timestampFormat = timestampFormats.find(
    (name) => name === parameters.text('timestamp_format', 'double'),
  )
  if (timestampFormat === undefined) return `\`timestamp_format\` is one of ${timestampFormats.join(', ')}`
  const acks = acknowledgements[parameters.text(named(parameters, ackNames), '-1')]
  if (acks === undefined) return `\`${ackNames[0]}\` is 1 or -1 here`
  const security = securityOf(parameters)
  if (typeof security === 'string') return security
  const known = brokers.filter((broker) => broker !== undefined)
  if (known.length < brokers.length) return '`brokers` are hosts, each with its port after a colon'
  const refresh = Number(parameters.text(refreshName, String(usualRefresh)))
  return {
    type: 'kafka',
    brokers: known,
    topics: [topic, ...others],
    ...optional('topicKey', parameters.text('topic_key')),
    ...optional('messageKey', parameters.text('message_key')),
    ...optional('messageKeyField', parameters.text('message_key_field')),
    timestampKey: parameters.text('timestamp_key', '@timestamp'),
    timestampFormat,
    acks,
    refresh: refresh > 0 ? Math.min(refresh, largestRefresh) : usualRefresh,
    ...security,
  }
}

/** @returns what is wrong, in words */
function securityOf(parameters: OutputParameters): Pick<KafkaOutput, 'tls' | 'sasl'> | string {
  const protocol = parameters.text(protocolName, 'plaintext').toLowerCase()
  if (!protocols.includes(protocol)) return `\`${protocolName}\` is one of ${protocols.join(', ')}`
  const tls = protocol.endsWith('ssl') && { tls: { verify: parameters.isOn(verification, true) } }
  if (!protocol.startsWith('sasl_')) {
    if (parameters.text(user) === '') return { ...tls }
    return `credentials need \`${protocolName}\` sasl_ssl or sasl_plaintext`
  }
  const mechanism = mechanisms.find((name) => name === parameters.text(named(parameters, mechanismNames)))
  if (mechanism === undefined) return `\`${mechanismNames[0]}\` is one of ${mechanisms.join(', ')}`
  if (parameters.text(user) === '') return `\`${user}\` is missing`
  return { ...tls, sasl: { mechanism, user: parameters.text(user), password: parameters.text(password) } }
}

/** The name that is given, of several for the same. */
const named = (parameters: OutputParameters, names: readonly string[]): string =>
  names.find((name) => parameters.text(name) !== '' || parameters.list(name).length > 0) ?? names[0]!

/** @returns undefined when it is none */
function brokerOf(text: string): { host: string; port: number } | undefined {
  const { groups } =
    /^(?:\[(?<six>[0-9a-fA-F:.]+)\]|(?<name>[^\s:/@?#[\]]+))(?::(?<port>\d{1,5}))?$/.exec(text) ?? {}
  const port = Number(groups?.port ?? usualPort)
  if (groups === undefined || port < 1 || port > 65_535) return undefined
  return { host: groups.six ?? groups.name ?? '', port }
}

const optional = <Name extends string>(name: Name, value: string) =>
  (value === '' ? {} : { [name]: value }) as { [name in Name]?: string }
