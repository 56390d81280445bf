/** How an attempt to have a request answered by an endpoint ends, for those who keep account of endpoints. */

/** What an endpoint did wrong. */
export type UpstreamFault =
  /** No connection, or no address to connect to. */
  | 'connect_failed'
  | 'connect_timeout'
  /** It took or sent nothing for too long. */
  | 'timeout'
  /** It closed the connection before its answer was complete. */
  | 'closed'
  /** What it sent is no valid answer. */
  | 'bad_response'
  /** It says that it did nothing about the request. */
  | 'refused'

/** What counts against it. */
export type AttemptFault = Exclude<UpstreamFault, 'refused'>

export type AttemptEnd =
  | AttemptFault
  /** A complete answer, or a tunnel that either side ended. */
  | 'complete'
  /**
   * Says nothing about the endpoint: the client left or its time was over, a policy ended the request, a pooled connection
   * turned out to have been closed, or the endpoint refused the request.
   */
  | 'abandoned'

export interface AttemptObserver<E> {
  /**
   * @param status of the final answer, which may still have broken off after its head; 0 when none came
   * @param elapsed milliseconds since the attempt began
   * @param address that was connected to; empty when there was none
   */
  ended(endpoint: E, end: AttemptEnd, status: number, elapsed: number, address: string): void
}
