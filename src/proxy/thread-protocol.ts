/** What the control thread and a data thread say to each other. Everything here survives a structured clone. */
import type { PlanDelta } from '../config/plan.ts'
import type { Settings } from '../config/settings.ts'
import type { Announcement } from '../telemetry/metrics.ts'
import type { LogMessage } from '../telemetry/thread-log.ts'

/** Shared memory of a data thread. The first two are the same in all threads, the others its own. */
export interface ThreadMemory {
  limits: SharedArrayBuffer
  connections: SharedArrayBuffer
  metrics: SharedArrayBuffer
  counters: SharedArrayBuffer
  gauges: SharedArrayBuffer
}

/** Addresses by host name; an empty list: the name does not resolve. */
export type Addresses = readonly (readonly [host: string, addresses: readonly string[]])[]

/** Port of each listener by name. */
export type Ports = ReadonlyMap<string, number>

/** What a thread starts with. It applies the delta, which is the whole plan. */
export interface ThreadStart {
  /** From 1. A replacement takes over the id of the thread that died. */
  threadId: number
  settings: Settings
  delta: PlanDelta
  addresses: Addresses
  memory: ThreadMemory
}

export type ToDataThread =
  /** Always the first message, and sent once. */
  | { type: 'start'; start: ThreadStart }
  | { type: 'plan'; delta: PlanDelta }
  | { type: 'addresses'; host: string; addresses: readonly string[] }
  /** `ports` names the ports that were chosen for port 0. */
  | { type: 'listen'; ports?: Ports }
  | { type: 'reopen-logs' }
  /** Finish what is in flight, within `settings.timeouts.drain`, and end. */
  | { type: 'drain' }

export type ToControlThread =
  | { type: 'applied'; version: number }
  /** The thread goes on with the plan it had. */
  | { type: 'refused'; version: number; message: string }
  | { type: 'listening'; ports: Ports }
  | { type: 'listen-failed'; message: string }
  /** Last message of a thread. */
  | { type: 'drained' }
  | { type: 'announce'; announcement: Announcement }
  /** Complete lines for standard output, each with its line feed. */
  | { type: 'lines'; lines: string; count: number }
  | LogMessage
