/**
 * All deadlines of a thread on one timer. A connection keeps one deadline and moves it freely: moving it later costs an
 * assignment, because an entry that comes up early is only put back.
 */

import { clock } from './clock.ts'

/** Width of a slot, in milliseconds: no deadline fires earlier than asked, and none later by more than this. */
const tickMs = 50
const slotCount = 1024

export interface Deadline {
  /** Monotonic milliseconds (performance.now) at which `onDeadline` is due; 0 for never. */
  due: number
  /** Owned by the wheel: the tick at which the entry comes up, 0 when it is not linked. */
  wheelTick: number
  wheelNext: Deadline | null
  wheelPrevious: Deadline | null
  onDeadline(now: number): void
}

export class TimerWheel {
  private readonly slots: (Deadline | null)[] = new Array(slotCount).fill(null)
  private tick = Math.floor(performance.now() / tickMs)
  private readonly timer: NodeJS.Timeout

  constructor() {
    this.timer = setInterval(() => this.advance(clock.tick()), tickMs)
    this.timer.unref()
  }

  /** Sets when the entry is due; 0 for never. An entry that comes up too early is put back, so only an earlier time moves it. */
  set(entry: Deadline, due: number): void {
    entry.due = due
    if (due === 0) return
    if (entry.wheelTick !== 0) {
      if (due >= entry.wheelTick * tickMs) return
      this.unlink(entry)
    }
    this.link(entry)
  }

  clear(entry: Deadline): void {
    entry.due = 0
    if (entry.wheelTick !== 0) this.unlink(entry)
  }

  close(): void {
    clearInterval(this.timer)
  }

  /** Fires everything that is due by `now`. Called by the timer; tests call it with a time of their own. */
  advance(now: number): void {
    const target = Math.floor(now / tickMs)
    while (this.tick < target) {
      this.tick++
      this.visit(now)
    }
  }

  private visit(now: number): void {
    const slot = this.tick % slotCount
    // From the front each time: a handler may clear other entries of this slot. None is put back into it, see `link`.
    for (let entry = this.slots[slot]; entry; entry = this.slots[slot]) {
      this.unlink(entry)
      if (entry.due === 0) continue
      if (entry.due > now) {
        this.link(entry)
        continue
      }
      entry.due = 0
      entry.onDeadline(now)
    }
  }

  private link(entry: Deadline): void {
    const tick = Math.min(Math.max(Math.ceil(entry.due / tickMs), this.tick + 1), this.tick + slotCount - 1)
    const slot = tick % slotCount
    const first = this.slots[slot] as Deadline | null
    entry.wheelTick = tick
    entry.wheelPrevious = null
    entry.wheelNext = first
    if (first !== null) first.wheelPrevious = entry
    this.slots[slot] = entry
  }

  private unlink(entry: Deadline): void {
    if (entry.wheelPrevious === null) this.slots[entry.wheelTick % slotCount] = entry.wheelNext
    else entry.wheelPrevious.wheelNext = entry.wheelNext
    if (entry.wheelNext !== null) entry.wheelNext.wheelPrevious = entry.wheelPrevious
    entry.wheelTick = 0
    entry.wheelNext = null
    entry.wheelPrevious = null
  }
}
