/** The HTTP/2 connections to one endpoint. Each carries as many requests at a time as the peer allows. */
import type { UpstreamSession } from './upstream-session.ts'

/** Requests that wait for a connection whose peer has not said yet how many it takes (RFC 9113 6.5.2 recommends no less). */
const assumedStreams = 100

export class SessionPool {
  /** How many requests at a time the peer last said that it takes. */
  streams = assumedStreams
  private readonly sessions: UpstreamSession[] = []

  /** One that takes a further request. @param purpose of the connection */
  find(purpose: string): UpstreamSession | undefined {
    return this.sessions.find((session) => session.purpose === purpose && session.hasRoom)
  }

  add(session: UpstreamSession): void {
    this.sessions.push(session)
  }

  /** It takes no further request. */
  forget(session: UpstreamSession): void {
    const at = this.sessions.indexOf(session)
    if (at >= 0) this.sessions.splice(at, 1)
  }

  get idle(): number {
    return this.sessions.reduce((count, session) => count + (session.isIdle ? 1 : 0), 0)
  }

  /** Ends those to other addresses, each once its requests are over. */
  retain(addresses: readonly string[]): void {
    for (const session of [...this.sessions]) if (!addresses.includes(session.address)) session.discard()
  }

  /** Ends all, each once its requests are over. */
  discard(): void {
    for (const session of [...this.sessions]) session.discard()
  }

  /** Ends one that carries nothing. @returns false when there is none */
  dropIdle(): boolean {
    const idle = this.sessions.find((session) => session.isIdle)
    idle?.discard()
    return idle !== undefined
  }

  /** Ends those for one purpose, where none of them carries anything. @param size how many there are for a purpose */
  dropIdlePool(size: (purpose: string) => number): boolean {
    const idle = this.sessions.filter((session) => session.isIdle)
    for (const [purpose, sessions] of Map.groupBy(idle, (session) => session.purpose)) {
      if (sessions.length < size(purpose)) continue
      for (const session of sessions) session.discard()
      return true
    }
    return false
  }
}
