/** Both directions of a WebSocket, as they pass: counts messages, holds them to limits, and finds the moment for a last word. */
import type { Settings } from '../../config/settings.ts'
import { clock } from '../clock.ts'
import { closeCode, closeFrame, type FrameLimits, FrameReader } from './frame-reader.ts'

/** Where bytes of the gateway's own go. */
export interface WebSocketEnds {
  toClient(bytes: Buffer): void
  toUpstream(bytes: Buffer): void
  /** Nothing more is sent in either direction. */
  end(): void
}

export class WebSocket {
  private readonly limits: FrameLimits
  private readonly isLimited: boolean
  private readonly ends: WebSocketEnds
  private readonly client = new FrameReader(true)
  private readonly upstream = new FrameReader(false)
  /** With what it is to be closed as soon as a frame may follow; 0: it is not. */
  private wanted = 0
  private closed = false

  constructor({ limits }: Settings, ends: WebSocketEnds) {
    this.limits = { message: limits.websocket_message, rate: limits.websocket_rate }
    this.isLimited = limits.websocket_message > 0 || limits.websocket_rate > 0
    this.ends = ends
  }

  get messagesReceived(): number {
    return this.client.messages
  }

  get messagesSent(): number {
    return this.upstream.messages
  }

  /** @returns false when these bytes of the client go nowhere */
  fromClient(bytes: Buffer, start: number, end: number): boolean {
    return !this.closed && this.admits(this.client, bytes, start, end)
  }

  /** The same of the upstream. */
  fromUpstream(bytes: Buffer, start: number, end: number): boolean {
    return !this.closed && this.admits(this.upstream, bytes, start, end)
  }

  /** After what `fromUpstream` let pass has been sent. */
  passed(): void {
    if (this.wanted !== 0 && this.upstream.isBetweenFrames)
      this.close(this.wanted, true, this.client.isBetweenFrames)
  }

  /** The gateway goes: both sides are told as soon as a frame of the upstream is complete. */
  drain(): void {
    if (this.closed) return
    this.wanted = closeCode.goingAway
    this.passed()
  }

  private admits(reader: FrameReader, bytes: Buffer, start: number, end: number): boolean {
    const wasBetween = reader.isBetweenFrames
    const code = reader.read(bytes, start, end, this.limits, clock.now)
    // What is no frame is let pass where nothing has to be counted.
    if (code === 0 || !this.isLimited) return true
    // Nothing of this read goes on, so that the other side is where it was before.
    this.close(
      code,
      reader === this.upstream ? wasBetween : this.upstream.isBetweenFrames,
      reader === this.client ? wasBetween : this.client.isBetweenFrames,
    )
    return false
  }

  /** Inside a frame there is no place for another one: then only the end of the connection tells. */
  private close(code: number, tellsClient: boolean, tellsUpstream: boolean): void {
    this.closed = true
    if (tellsClient) this.ends.toClient(closeFrame(code, false))
    if (tellsUpstream) this.ends.toUpstream(closeFrame(code, true))
    this.ends.end()
  }
}
