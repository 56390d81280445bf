/**
 * The health of an endpoint in one 32-bit word, so that a thread reads it with one load and changes it with one compare
 * and exchange: its state, four counters, and whether it is ejected. An endpoint of which nothing is known is 0: healthy.
 *
 * States, counters and what moves them are those of APISIX (lua-resty-healthcheck): a success clears the failure counters
 * and a failure the success counter; reports that say what the state says already are not counted.
 */

export type HealthState = 'healthy' | 'mostly_healthy' | 'mostly_unhealthy' | 'unhealthy'

/** In the order of their two bits; the second one set means: no traffic. */
const states: readonly HealthState[] = ['healthy', 'mostly_healthy', 'mostly_unhealthy', 'unhealthy']
const stateBits = 0b11
const healthy = 0
const mostlyHealthy = 1
const mostlyUnhealthy = 2
const unhealthy = 3

/** An endpoint whose word has any of these bits takes no traffic while others do. */
export const unusableBits = 0b110
export const ejectedBit = 0b100

/** The counter of successes is in use; its failures are all 0. */
const succeedingBit = 0b1000
const countersAt = 4
const countBits = 0xff

export const counter = { success: 0, http: 1, tcp: 2, timeout: 3 } as const
export type Counter = (typeof counter)[keyof typeof counter]

export interface HealthCounters {
  success: number
  http_failure: number
  tcp_failure: number
  timeout_failure: number
}

export function stateOf(word: number): HealthState {
  return states[word & stateBits]!
}

export function isUp(word: number): boolean {
  return (word & mostlyUnhealthy) === 0
}

export function isEjected(word: number): boolean {
  return (word & ejectedBit) !== 0
}

export function countersOf(word: number): HealthCounters {
  return {
    success: countOf(word, counter.success),
    http_failure: countOf(word, counter.http),
    tcp_failure: countOf(word, counter.tcp),
    timeout_failure: countOf(word, counter.timeout),
  }
}

/** The word after one more report. `limit` is the count from which on the state changes, up to 254; 0: not counted. */
export function afterReport(word: number, which: Counter, limit: number): number {
  if (limit === 0) return word
  const state = word & stateBits
  const told = which === counter.success ? healthy : unhealthy
  if (state === told) return word
  const count = countOf(word, which) + 1
  return (word & ejectedBit) | nextState(state, told, count >= limit) | counted(word, which, count)
}

/** The state and its counters forgotten, or the ejection, or both. */
export function withoutState(word: number): number {
  return word & ejectedBit
}

export function withoutEjection(word: number): number {
  return word & ~ejectedBit
}

function nextState(state: number, told: number, reached: boolean): number {
  if (reached) return told
  if (state === healthy) return mostlyHealthy
  if (state === unhealthy) return mostlyUnhealthy
  return state
}

function countOf(word: number, which: Counter): number {
  const succeeding = (word & succeedingBit) !== 0
  if (which === counter.success) return succeeding ? (word >> countersAt) & countBits : 0
  return succeeding ? 0 : (word >> shiftOf(which)) & countBits
}

/** The counters of `word` with one of them set. */
function counted(word: number, which: Counter, count: number): number {
  if (which === counter.success) return succeedingBit | (count << countersAt)
  const others = (word & succeedingBit) !== 0 ? 0 : word & ~(countBits << shiftOf(which))
  return (others & ~(stateBits | ejectedBit)) | (count << shiftOf(which))
}

/** Failures take the place of the successes, with eight bits each. */
function shiftOf(which: Counter): number {
  return countersAt + 8 * (which - 1)
}
