/** A case: bytes in, what may come of them, and what must hold whatever comes of them. */
import type { Conversation, Step } from '../harness/raw-client.ts'
import type { ReceivedRequest, UpstreamConnection, UpstreamScript } from '../harness/scripted-upstream.ts'

export const host = 'wire.test'
export const hostField = `Host: ${host}`

/** The places that a case's bytes name. */
export interface Place {
  /** Unique to the case. */
  path: string
  /** A complete request that must never be seen as one. */
  hidden: string
}

export interface WireCase {
  id: string
  /** RFC section, or the name of the attack. */
  rule: string
  title: string
  steps: (place: Place) => Step | Step[]
  /** Absent: one GET. */
  methods?: string[]
  /** A function is called anew for each run, for scripts with a memory. */
  upstream?: UpstreamScript | (() => UpstreamScript)
  /** One of them must be met. */
  accept: Outcome[]
  /** Targets that may reach the upstream beside those that hold the case's path. */
  targets?: RegExp
  /** More answers than `methods` are no surprise. */
  maxAnswers?: number
  /** It is about what only HTTP/1 has, though HTTP/2 could say its requests. */
  onlyHttp1?: boolean
  /** Checks of `invariants` that this case breaks on purpose. */
  except?: string[]
  within?: number
  closeWithin?: number
  settle?: number
  /** Wait before judging, in ms, for what happens behind the client's back. */
  after?: number
}

/** What happened when a case ran. */
export interface Run {
  case: WireCase
  path: string
  client: Conversation
  requests: ReceivedRequest[]
  connections: UpstreamConnection[]
  /** Findings of the strict reader on what the upstream got. */
  upstreamFindings: UpstreamConnection['reader']['findings']
}

/** Null: met. Else what stands in the way. */
export interface Outcome {
  label: string
  judge(run: Run): string | null
}

export function placeOf({ id }: WireCase): Place {
  const path = `/case-${id}`
  return { path, hidden: get(`${path}/hidden`) }
}

/** Joins lines and ends the head. */
export const head = (...lines: string[]): string => `${lines.join('\r\n')}\r\n\r\n`

export const get = (path: string, ...fields: string[]): string =>
  head(`GET ${path} HTTP/1.1`, hostField, ...fields)

export const post = (path: string, body: string, ...fields: string[]): string =>
  head(`POST ${path} HTTP/1.1`, hostField, `Content-Length: ${body.length}`, ...fields) + body

export const chunked = (...parts: string[]): string =>
  `${parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')}0\r\n\r\n`
