/**
 * Follows the frames of one direction of a WebSocket (RFC 6455 section 5.2) as they pass: reads their heads, skips what is in
 * them, and holds nothing back.
 */

/** Why a connection is closed (RFC 6455 section 7.4.1). */
export const closeCode = {
  goingAway: 1001,
  protocolError: 1002,
  policyViolation: 1008,
  messageTooBig: 1009,
} as const

export interface FrameLimits {
  /** Bytes of a message; 0: no limit. */
  readonly message: number
  /** Messages of a second; 0: no limit. */
  readonly rate: number
}

const longestHead = 14
const longestControl = 125

export class FrameReader {
  /** Complete ones. */
  messages = 0
  private readonly isMasked: boolean
  private readonly head = new Uint8Array(longestHead)
  private headLength = 0
  /** Bytes of the frame that are still to come. */
  private left = 0
  /** Of the message under way, without those. */
  private size = 0
  private ends = false
  private inMessage = false
  private secondBegan = 0
  private inSecond = 0
  private broken = false

  /** @param isMasked as frames of clients are, and those of servers are not (section 5.1) */
  constructor(isMasked: boolean) {
    this.isMasked = isMasked
  }

  /** What came so far were frames, and the last one is complete: another one may follow. */
  get isBetweenFrames(): boolean {
    return !this.broken && this.headLength === 0 && this.left === 0
  }

  /**
   * @param now milliseconds
   * @returns 0, or the code to close with. After what is no frame nothing more is counted
   */
  read(bytes: Uint8Array, start: number, end: number, limits: FrameLimits, now: number): number {
    let at = start
    while (at < end && !this.broken) {
      if (this.left > 0) {
        const taken = Math.min(this.left, end - at)
        at += taken
        this.left -= taken
        if (this.left === 0 && this.ends) this.complete()
        continue
      }
      this.head[this.headLength++] = bytes[at++]!
      if (this.headLength < this.wantedHead()) continue
      const code = this.begin(limits, now)
      if (code !== 0) {
        this.broken = true
        return code
      }
    }
    return 0
  }

  private wantedHead(): number {
    if (this.headLength < 2) return 2
    const length = this.head[1]! & 127
    return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + ((this.head[1]! & 128) === 0 ? 0 : 4)
  }

  private begin(limits: FrameLimits, now: number): number {
    const [first, second] = this.head as unknown as [number, number]
    const isFinal = (first & 128) !== 0
    const opcode = first & 15
    const length = this.payloadLength()
    this.headLength = 0
    if (((second & 128) !== 0) !== this.isMasked || length < 0) return closeCode.protocolError
    this.ends = false
    this.left = length
    if (opcode >= 8) {
      return opcode > 10 || !isFinal || length > longestControl ? closeCode.protocolError : 0
    }
    // A message begins with its kind, and goes on without.
    if (opcode > 2 || (opcode === 0) !== this.inMessage) return closeCode.protocolError
    this.size = (opcode === 0 ? this.size : 0) + length
    this.inMessage = !isFinal
    if (limits.message > 0 && this.size > limits.message) return closeCode.messageTooBig
    if (opcode !== 0 && limits.rate > 0 && !this.hasTurn(limits.rate, now)) return closeCode.policyViolation
    this.ends = isFinal
    if (isFinal && length === 0) this.complete()
    return 0
  }

  /** Section 5.2; -1: more than there can be. */
  private payloadLength(): number {
    const { head } = this
    const short = head[1]! & 127
    if (short < 126) return short
    if (short === 126) return (head[2]! << 8) | head[3]!
    let length = 0
    for (let at = 2; at < 10; at++) length = length * 256 + head[at]!
    return Number.isSafeInteger(length) ? length : -1
  }

  private hasTurn(rate: number, now: number): boolean {
    if (now - this.secondBegan >= 1000) {
      this.secondBegan = now
      this.inSecond = 0
    }
    return ++this.inSecond <= rate
  }

  private complete(): void {
    this.ends = false
    this.messages++
  }
}

/** A frame that closes a connection with this code; from a client it is masked, with a key that changes nothing. */
export function closeFrame(code: number, isMasked: boolean): Buffer {
  const payload = [code >> 8, code & 255]
  return Buffer.from(isMasked ? [0x88, 0x82, 0, 0, 0, 0, ...payload] : [0x88, 0x02, ...payload])
}
