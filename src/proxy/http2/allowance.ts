/** How much of something may come: so much at once, and so much in a second. */
export class Allowance {
  private readonly burst: number
  private readonly perMillisecond: number
  private left: number
  private at: number

  /** @param now monotonic milliseconds */
  constructor(burst: number, perSecond: number, now: number) {
    this.burst = burst
    this.perMillisecond = perSecond / 1000
    this.left = burst
    this.at = now
  }

  /** Takes from what is left; a negative amount gives back. @returns false when it is used up */
  take(amount: number, now: number): boolean {
    const refilled = this.left + (now - this.at) * this.perMillisecond
    this.left = Math.min(this.burst, refilled - amount)
    this.at = now
    return this.left >= 0
  }
}
