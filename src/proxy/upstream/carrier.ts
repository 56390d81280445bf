/** What carries one request to an endpoint and its answer back, whatever the protocol is: the words between it and `Forward`. */
import type { Head } from '../http1/head.ts'
import type { Wire } from '../http1/wire.ts'
import type { UpstreamFault } from './attempt.ts'

/**
 * Where bytes come from: a wire whose read buffer they stand in, valid during the call only; or null, when they belong to
 * whoever takes them.
 */
export type ByteSource = Wire | null

/** Where the body of an answer ends, as far as its head tells. */
export interface AnswerBody {
  /** Nothing but the end of the connection says so. */
  readonly endsWithConnection: boolean
  /** Content bytes that are still to come, when that is known; else -1. */
  readonly remaining: number
}

/** One request under way. Nothing is sent before `flush`, or `endRequest` and `flush`. */
export interface Carrier {
  /** Of the connection; empty: there was none to connect to. */
  readonly address: string
  /** Nothing of an answer has arrived. */
  readonly untouched: boolean
  /** The trailer section of the answer, once that is complete. */
  readonly trailers: Head | null
  /** It takes the request more slowly than it is told it: wait for `onWritable`. */
  readonly isFull: boolean
  readonly isPaused: boolean
  /** @param text start line and fields as HTTP/1.1 has them @param chunked the content has no announced length */
  sendHead(text: string, chunked: boolean): void
  /** Content, one character a byte. */
  sendText(text: string): void
  sendContent(from: ByteSource, bytes: Buffer, start: number, end: number): void
  endRequest(trailers: Head | null): void
  flush(): void
  /** Stops taking the answer, so that the endpoint has to wait. */
  pause(): void
  resume(): void
  /** When `onFault` says `timeout`, unless something happens before; on the thread's clock. */
  setDeadline(due: number): void
  /** The answer is complete: another request may follow where that is possible. */
  release(): void
  /** The user has no more interest. */
  drop(): void
}

/** A connection in raw mode. */
export interface Tunnel {
  readonly isFull: boolean
  tunnelContent(from: ByteSource, bytes: Buffer, start: number, end: number): void
  /** Nothing more is sent into it. */
  endTunnel(): void
}

/** The request that is carried, seen from the upstream's side. */
export interface UpstreamUser {
  readonly requestMethod: string
  /** The request may be sent. Not called where that was so from the start. @param isNew a connection was opened for it */
  onConnected(isNew: boolean): void
  /** An interim answer (1xx other than 101). */
  onInterim(head: Head): void
  /** The final head. The user may drop the carrier in this call. */
  onHead(head: Head, body: AnswerBody): void
  /** A 101, after which nothing but raw bytes may follow, if the user asked for that; else it drops the carrier. */
  onSwitch(head: Head, tunnel: Tunnel): void
  onContent(from: ByteSource, bytes: Buffer, start: number, end: number): void
  /** After each read, when something of an answer was in it: what was held back to be joined can leave. */
  onReadOver(): void
  onComplete(): void
  /** Bytes after a switch that was accepted. */
  onTunnel(from: ByteSource, bytes: Buffer, start: number, end: number): void
  /** The upstream will send no more in the tunnel. */
  onTunnelEnd(): void
  onWritable(): void
  onFault(fault: UpstreamFault, error: Error | null): void
}
