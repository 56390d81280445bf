/**
 * The faster of two endpoints drawn by lot. How fast an endpoint is says an average of its response times in which old
 * ones fade with time, so that one that has been left alone for a while is tried again.
 */
import { clock } from '../../clock.ts'
import { sharedTime } from '../../shared/clock.ts'
import type { AttemptEnd, AttemptObserver } from '../attempt.ts'
import {
  type Balancer,
  byPriority,
  type Candidate,
  type Group,
  isWanted,
  pickFromGroups,
} from './balancer.ts'

interface TimedEndpoint extends Candidate {
  /** Average response time in milliseconds, and when that was, shared by all threads; both 0 for none. */
  readonly load: {
    readonly value: number
    readonly time: number
    setValue(value: number, time: number): void
  } | null
}

/** Milliseconds after which a response time counts for 1/e of what it did. */
const fading = 10_000
/** A failure counts as a response that took no less than this, or who fails fast would be thought fast. */
const failureTime = 1000

export class Ewma<E extends TimedEndpoint> implements Balancer<E>, AttemptObserver<E> {
  readonly #groups: readonly Group<E>[]

  constructor(endpoints: readonly E[], random: () => number = Math.random) {
    this.#groups = byPriority(endpoints).map((members) => new TwoChoices(members, random))
  }

  pick(tried: ReadonlySet<E> | null): E | null {
    return pickFromGroups(this.#groups, tried, 0)
  }

  ended({ load }: E, end: AttemptEnd, _status: number, elapsed: number): void {
    if (load === null || end === 'abandoned') return
    const now = sharedTime(clock.now)
    const taken = end === 'complete' ? elapsed : Math.max(elapsed, failureTime)
    const remains = faded(now - load.time)
    load.setValue(load.value * remains + taken * (1 - remains), now)
  }
}

class TwoChoices<E extends TimedEndpoint> implements Group<E> {
  readonly #members: readonly E[]
  readonly #random: () => number
  readonly #wanted: E[] = []
  #first = 0
  #second = 0

  constructor(members: readonly E[], random: () => number) {
    this.#members = members
    this.#random = random
  }

  next(tried: ReadonlySet<E> | null, onlyUsable: boolean): E | null {
    const members = this.#members
    if (members.length > 1) {
      this.#draw(members.length)
      const [a, b] = [members[this.#first]!, members[this.#second]!]
      if (isWanted(a, tried, onlyUsable) && isWanted(b, tried, onlyUsable)) return faster(a, b)
    }
    // Nothing is lost by drawing again: every pair of those that are wanted is as likely as before.
    const wanted = this.#wanted
    let count = 0
    for (const member of members) if (isWanted(member, tried, onlyUsable)) wanted[count++] = member
    if (count < 2) return count === 0 ? null : wanted[0]!
    this.#draw(count)
    return faster(wanted[this.#first]!, wanted[this.#second]!)
  }

  /** Two different ones of `count`. */
  #draw(count: number): void {
    this.#first = Math.floor(this.#random() * count)
    this.#second = Math.floor(this.#random() * (count - 1))
    if (this.#second >= this.#first) this.#second++
  }
}

function faster<E extends TimedEndpoint>(a: E, b: E): E {
  const now = sharedTime(clock.now)
  return score(a, now) > score(b, now) ? b : a
}

/** The average as if the endpoint had since answered at once. */
function score({ load }: TimedEndpoint, now: number): number {
  return load === null ? 0 : load.value * faded(now - load.time)
}

function faded(age: number): number {
  return Math.exp(-Math.max(0, age) / fading)
}
