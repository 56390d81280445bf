/** Functions that an operator wrote and a configuration names, by the phase that runs them. */
import type { BodyFilter, Exchange, HeaderBlock } from '../../../proxy/exchange.ts'
import type { PolicyHost } from '../host.ts'

/** How a function ends a request. */
export interface FunctionAnswer {
  /** 200 to 599. */
  status: number
  /** An object is sent as JSON with a newline after it; a string as it is; absent: the page for that status. */
  body?: string | Record<string, unknown>
  headers?: HeaderBlock | Readonly<Record<string, string | number | readonly string[]>>
  /** Of the body. Default: text/plain; charset=utf-8 for a string, application/json for an object. */
  contentType?: string
}

/** Nothing to go on, an answer to end the request. */
export type FunctionResult = FunctionAnswer | undefined | void

/** Of the phases `rewrite`, `access` and `before_proxy`. */
export type RequestFunction = (
  exchange: Exchange,
  host: PolicyHost,
) => FunctionResult | Promise<FunctionResult>

/** Of `header_filter`: changes the head of the answer through `exchange.answer` and `exchange.response.setStatus`. */
export type ResponseFunction = (exchange: Exchange, host: PolicyHost) => void

/** Of `body_filter`: gives back what is to see the body of this answer, or nothing. */
export type BodyFunction = (exchange: Exchange, host: PolicyHost) => BodyFilter | undefined | void

/** Of `log`, after the last byte. */
export type LogFunction = (exchange: Exchange, host: PolicyHost) => void | Promise<void>

/** An answer of the gateway's own, on its way to the client. */
export interface OwnAnswer {
  status: number
  /** Absent: the page for that status. */
  body?: string | Record<string, unknown>
  /** Its own fields; not those that policies add to any answer. */
  headers: Record<string, string | readonly string[]>
  contentType?: string
}

/** Of `exit-transformer`: gives back what takes the place of an answer, or nothing. */
export type ExitFunction = (
  answer: OwnAnswer,
  exchange: Exchange,
  host: PolicyHost,
) => FunctionAnswer | undefined | void

/** Any of them. */
export type OwnFunction = (...values: never[]) => unknown
