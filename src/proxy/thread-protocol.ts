/** What the control thread and a data thread say to each other. Everything here survives a structured clone. */
import type { PlanDelta } from '../config/plan.ts'
import type { Settings } from '../config/settings.ts'
import type { MetricsText } from '../telemetry/exposition.ts'
import type { Announcement } from '../telemetry/metrics.ts'
import type { LogMessage } from '../telemetry/thread-log.ts'
import type { RequestDescription } from './explain/description.ts'
import type { Explanation } from './explain/explanation.ts'
import type { ClearedState, StateCounts } from './run-time-state.ts'
import type { DiscoveredNode } from './upstream/discovery/discovered-node.ts'
import type { UpstreamSlots } from './upstream/health/slots.ts'

/** Shared memory of a data thread. The first seven are the same in all threads, the others its own. */
export interface ThreadMemory {
  limits: SharedArrayBuffer
  connections: SharedArrayBuffer
  loads: SharedArrayBuffer
  presences: SharedArrayBuffer
  circuits: SharedArrayBuffer
  turns: SharedArrayBuffer
  health: SharedArrayBuffer
  metrics: SharedArrayBuffer
  counters: SharedArrayBuffer
  gauges: SharedArrayBuffer
  /** What the thread is at, for the control thread. */
  watch: SharedArrayBuffer
  /** Of each zone for stored answers. */
  caches: ReadonlyMap<string, SharedArrayBuffer>
}

/** Addresses by host name; an empty list: the name does not resolve. */
export type Addresses = readonly (readonly [host: string, addresses: readonly string[]])[]

/** Nodes by the key of the service; a service that nothing is known of is left out. */
export type ServiceNodes = readonly (readonly [service: string, nodes: readonly DiscoveredNode[]])[]

/** Port of each listener by name. */
export type Ports = ReadonlyMap<string, number>

/** What a thread starts with. It applies the delta, which is the whole plan. */
export interface ThreadStart {
  /** From 1. A replacement takes over the id of the thread that died. */
  threadId: number
  settings: Settings
  delta: PlanDelta
  addresses: Addresses
  nodes: ServiceNodes
  health: readonly UpstreamSlots[]
  memory: ThreadMemory
  /** That all threads make the keys of session tickets from. */
  ticketSecret: Uint8Array
}

/** What a data thread can be asked for, and what it answers. */
export interface Questions {
  'state-counts': { question: undefined; answer: StateCounts }
  'clear-state': { question: ClearedState; answer: StateCounts }
  explain: { question: RequestDescription; answer: Explanation }
  /** Collects garbage at once, which holds up the thread for as long as that takes. */
  'collect-garbage': { question: undefined; answer: undefined }
}
export type QuestionName = keyof Questions

/** A question with the function that answers it, of a data thread. */
export type Answers = {
  [N in QuestionName]: (
    question: Questions[N]['question'],
  ) => Questions[N]['answer'] | Promise<Questions[N]['answer']>
}

export type ToDataThread =
  /** Always the first message, and sent once. */
  | { type: 'start'; start: ThreadStart }
  | { type: 'plan'; delta: PlanDelta }
  | { type: 'addresses'; host: string; addresses: readonly string[] }
  /** Null: nothing is known of the service any more. */
  | { type: 'nodes'; service: string; nodes: readonly DiscoveredNode[] | null }
  /** Before the plan or the addresses that need it. */
  | { type: 'health'; slots: UpstreamSlots }
  /** `ports` names the ports that were chosen for port 0. */
  | { type: 'listen'; ports?: Ports }
  /** Close the listeners and let connections end; `listen` opens them again. */
  | { type: 'pause' }
  | { type: 'reopen-logs' }
  | { type: 'ask'; id: number; name: QuestionName; question: Questions[QuestionName]['question'] }
  /** Of the whole gateway, for whoever asked with `want-metrics`; undefined: there is none. */
  | { type: 'metrics'; text: MetricsText | undefined }
  /** Finish what is in flight, within `settings.timeouts.drain`, and end. */
  | { type: 'drain' }

export type ToControlThread =
  | { type: 'applied'; version: number }
  /** The thread goes on with the plan it had. */
  | { type: 'refused'; version: number; message: string }
  | { type: 'listening'; ports: Ports }
  | { type: 'listen-failed'; message: string }
  | { type: 'paused' }
  | { type: 'answer'; id: number; answer: Questions[QuestionName]['answer'] }
  | { type: 'no-answer'; id: number; message: string }
  /** Last message of a thread. */
  | { type: 'drained' }
  | { type: 'announce'; announcement: Announcement }
  | { type: 'want-metrics' }
  /** What a number in `memory.watch` stands for. */
  | { type: 'label'; label: number; name: string }
  /** Complete lines for standard output, each with its line feed. */
  | { type: 'lines'; lines: string; count: number }
  | LogMessage
