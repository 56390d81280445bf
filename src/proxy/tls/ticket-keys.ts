/** Keys of session tickets: the same in all threads at the same time, without a word between them. */
import { hkdfSync } from 'node:crypto'

const keySize = 48

export class TicketKeys {
  private readonly secret: Uint8Array
  private period = -1
  private current: Buffer = Buffer.alloc(0)

  /** @param secret shared by all threads of a process, and never written anywhere */
  constructor(secret: Uint8Array) {
    this.secret = secret
  }

  /**
   * The key of this period, the same object as long as it lasts. Tickets of the one before lead to a full handshake.
   * @param now epoch milliseconds
   * @param rotation milliseconds that a period lasts
   */
  at(now: number, rotation: number): Buffer {
    const period = Math.floor(now / rotation)
    if (period !== this.period) {
      this.period = period
      this.current = Buffer.from(
        hkdfSync('sha256', this.secret, '', `tickets ${rotation} ${period}`, keySize),
      )
    }
    return this.current
  }
}
