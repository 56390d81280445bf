/** What policies share that tell others about exchanges: entries, batches on their way, and where they go. */
export {
  Batches,
  BatchProcessor,
  type BatchSettings,
  PartlyDelivered,
  type Send,
  Undeliverable,
} from './batch-processor.ts'
export { isSecretName, LogEntries, type LogEntry, loggedUri, type Read } from './entry.ts'
export {
  addressFinding,
  batchFields,
  batchTimeout,
  bodyFields,
  entryFields,
  expressionFindings,
  formatFields,
  loggerMetadata,
  openObject,
  placed,
  webAddress,
} from './fields.ts'
export { HttpSink, type HttpSinkOptions } from './http-sink.ts'
export { jsonString } from './json-string.ts'
export { KafkaSink } from './kafka/kafka-sink.ts'
export type { KafkaMessage } from './kafka/record-batch.ts'
export { kafkaFields, kafkaSinkOptions } from './kafka/settings.ts'
export { batchedLogger } from './logger.ts'
export { anyServer, serverFields, serverList, serversFinding } from './servers.ts'
export { type ShippedLogSettings, shippedLogSettings } from './shipped-log.ts'
export { hostName as syslogHost, syslogLine } from './syslog-line.ts'
export { TcpSink, type TcpSinkOptions } from './tcp-sink.ts'
export { textOfBytes } from './text-of-bytes.ts'
export { timestamp } from './timestamp.ts'
export { UdpSink } from './udp-sink.ts'
