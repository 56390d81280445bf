/** What a protocol offers for one request of a client and its answer. Heads are texts of HTTP/1.1, which each protocol writes in its own way. */
import type { Head } from './http1/head.ts'
import type { HeaderEdits } from './http1/header-edits.ts'
import type { ClientFraming } from './http1/response-head.ts'
import type { ByteSource } from './upstream/carrier.ts'

export interface ClientStream {
  /** More is waiting for the client than should be; `clientWritable` of the conversation tells when it is not any more. */
  readonly isFull: boolean
  /** What was read is still being dealt with: when it is over, both directions are flushed. */
  readonly isReading: boolean
  /** The request's body was read to its end. */
  readonly isBodyDone: boolean
  /** What came behind it. */
  readonly trailers: Head | null
  /** The client ended its side of the connection, and may wait for the answer. */
  readonly hasClientEnded: boolean
  /** How a body travels whose length is not known. */
  readonly framing: ClientFraming

  /** No more of the request's body should come, until `resume`. */
  pause(): void
  resume(): void
  /** The connection cannot carry another request after this one: nobody knows where that would begin. */
  closeAfter(): void
  /**
   * What the head of the answer has to say about the connection: a line or nothing. Asked once for each answer.
   * @param readsRest what is left of the request's body may be read after the answer
   */
  connectionLine(readsRest: boolean): string
  sendInterim(head: string): void
  /** The head of an answer whose body comes in pieces. */
  sendHead(head: string, framing: ClientFraming): void
  /** A piece of the body. `bytes` are valid only during the call where a source has them. */
  sendPiece(source: ByteSource, bytes: Buffer, start: number, end: number): void
  /** A piece that nobody else writes to. */
  sendOwned(bytes: Buffer): void
  /** The body is complete. */
  sendEnd(trailers: Head | null): void
  /** A complete answer: a head of that many characters and its body, one character a byte. */
  sendWhole(text: string, headLength: number): void
  /** After a complete answer. @returns true when the rest of the request's body is read before the exchange ends */
  awaitsRest(): boolean
  /** From here on there are bytes in both directions. */
  becomeTunnel(head: Head, edits: HeaderEdits | null): void
  tunnelPiece(source: ByteSource, bytes: Buffer, start: number, end: number): void
  /** The upstream sends nothing more in the tunnel. */
  endTunnel(): void
  /** Hands on what was sent, and watches over a client that does not take it. Does nothing while reading. */
  flush(): void
  /** The answer ends here though it is not complete, and the client must be able to tell. What was sent goes out first. */
  breakOff(): void
  /** The same, at once. */
  cut(): void
  /** The exchange is over, and all of the answer was sent. */
  exchangeOver(): void
}
