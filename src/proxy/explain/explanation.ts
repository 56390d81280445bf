/** What an explanation says. Names are those of the answers of the control port; there are no secrets in it. */
import type { SourcePosition } from '../../config/provenance.ts'

export interface Explanation {
  /** Of the plan that it is about. */
  version: number
  /** It is about a TCP or UDP session; absent: about a request. Then `request.method` is `tcp`, `tls` or `udp`. */
  stream?: true
  listener: {
    name: string
    host: string
    port: number
    /** How it was found: by its name or by the port of the URL; the first, where neither is given; or where none fits. */
    chosen: 'name' | 'port' | 'first' | 'other'
  }
  client: {
    address: string
    peer: string
    /** The peer's X-Forwarded-* fields are believed. */
    trusted: boolean
  }
  request: {
    method: string
    /** As it came. */
    target: string
    /** The rest is empty when the request was refused before it was known. */
    host: string
    /** Canonical: what routes, policies and logs see. */
    path: string
    query: string
  }
  /** Routes that were looked at, in their order, up to the one that matched. */
  candidates: ExplainedCandidate[]
  /** Routes that would match under another host. */
  other_hosts: ExplainedCandidate[]
  /** What is nearly there when nothing matched. */
  hints: string[]
  route: {
    id: string
    name?: string
    /** The pattern that matched. */
    path: string
    host: string
    source?: SourcePosition
  } | null
  service: { id: string; name?: string; source?: SourcePosition } | null
  consumer: { username: string; credential: string } | null
  /** In the order in which they run. */
  policies: ExplainedPolicy[]
  outcome: ExplainedOutcome
  /** What policies have written into the answer before there is one. */
  answer_fields: string[]
  /** Null when the route has none, or the request does not come so far. */
  upstream: ExplainedUpstream | null
}

export interface ExplainedCandidate {
  route: { id: string; name?: string }
  path: string
  /** Empty: any host. */
  host: string
  priority: number
  /** One sentence for each condition that does not hold; none: it matched. */
  why: string[]
  source?: SourcePosition
}

export interface ExplainedPolicy {
  name: string
  /** The resource whose configuration counts: `route:1`, `service:2`, ... */
  owner: string
  /** Weaker resources whose configuration of the same policy it replaces. */
  replaces: string[]
  stage: string
  priority: number
  /** Where it takes part. */
  phases: string[]
  verdict: /** It let the request pass. */
    | 'passes'
    /** It answered. */
    | 'answers'
    /** It would have answered, but only watches (`mode: shadow`). */
    | 'would answer'
    /** It broke, which denies the request unless `on_error: continue`. */
    | 'fails'
    /** It cannot be evaluated here; the explanation goes on as if it passed. */
    | 'not evaluated'
    /** Its filter does not hold. */
    | 'skipped'
    /** Another one answered before. */
    | 'not reached'
    /** It has no say in whether a request passes. */
    | 'no say'
    /** It is switched off, or yields to the route's own. */
    | 'off'
  /** What is to be said about the verdict. */
  notes: string[]
  /** Of a verdict. */
  answer?: { status: number; body?: unknown }
  source?: SourcePosition
  /** Its configuration, once it is known where it was written. */
  properties?: ExplainedProperty[]
}

export interface ExplainedProperty {
  /** `allow_origins`, `_meta.priority`. */
  path: string
  /** Without secrets. */
  value: unknown
  /** Absent: it is a default. */
  source?: SourcePosition
}

export type ExplainedOutcome =
  /** Before it was routed. */
  | { kind: 'refused'; status: number; code: string; why: string }
  | { kind: 'answered'; status: number; by: string; body?: unknown }
  /** The gateway's own error. */
  | { kind: 'failed'; status: number; code: string }
  /** The head that the upstream gets, one line each. */
  | { kind: 'forwarded'; head: string[] }

export interface ExplainedUpstream {
  /** `upstream:1`, or `route:2` and `service:3` for one that is written in place. */
  key: string
  type: string
  /** What consistent hashing hashes. */
  hash?: { on: string; key: string }
  pass_host: string
  retries: number
  /** Seconds. */
  timeout: { connect: number; send: number; read: number }
  endpoints: ExplainedEndpoint[]
  /** So few endpoints are healthy that all are used; absent: they are not. */
  all_used?: true
  /** The one that would be taken, where that is certain; null: it depends on whose turn it is. */
  next: string | null
  source?: SourcePosition
}

export interface ExplainedEndpoint {
  address: string
  weight: number
  priority: number
  /** Takes traffic while others do. */
  usable: boolean
  /** Requests under way there. */
  active: number
  /** What its name leads to; empty for an address, and while nobody knows. */
  resolved: string[]
  /** What health checks say of each of its addresses; absent: nobody checks it. */
  health?: ExplainedHealth[]
}

export interface ExplainedHealth {
  address: string
  /** `healthy`, `unhealthy`, `mostly_healthy`, `mostly_unhealthy`. */
  state: string
  /** Taken out for a while because of what it did with requests. */
  ejected: boolean
  /** Null: it has not failed. */
  last_failure: string | null
}
