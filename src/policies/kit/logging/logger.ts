/** A policy that hands an entry for each exchange to a batch: what all of them do in the same way. */
import type { Exchange, PolicyHandlers } from '../../../proxy/exchange.ts'
import type { PolicyHost } from '../host.ts'
import type { BatchSettings, Send } from './batch-processor.ts'
import { type EntrySettings, LogEntries } from './entry.ts'

export interface BatchedLogger<Entry> {
  /** What is handed on of an exchange; undefined: nothing. */
  entry(exchange: Exchange, entries: LogEntries): Entry | undefined
  send: Send<Entry>
}

type LoggerHost = PolicyHost<unknown, EntrySettings & { max_pending_entries?: number }>

const pendingByDefault = 8192

/** @param bytes about as many as an entry takes; by default its length as a text */
export function batchedLogger<Entry>(
  config: BatchSettings & EntrySettings,
  host: LoggerHost,
  { entry: make, send }: BatchedLogger<Entry>,
  bytes: (entry: Entry) => number = (entry) => (entry as string).length,
): PolicyHandlers {
  const entries = new LogEntries(config, host)
  const batch = host.batches(config, host.metadata?.max_pending_entries ?? pendingByDefault, send)
  return {
    ...entries.bodyHandlers,
    observe(exchange) {
      const entry = make(exchange, entries)
      if (entry !== undefined) batch.push(entry, bytes(entry), exchange)
    },
  }
}
