/** Services for policies whose decisions are to be explained: they tell what is, and change nothing. */
import type { Limiter } from './policies/kit/host.ts'
import type { PolicyServices } from './policy-runtime.ts'

export function dryServices(services: PolicyServices): PolicyServices {
  return {
    ...services,
    limiter: lookingLimiter(services.limiter),
    metrics: { counter: () => nothing, histogram: () => nothing },
    lines: () => ({ write() {} }),
    log: { debug() {}, info() {}, warn() {}, error() {} },
    onResourcesChanged() {},
  }
}

const nothing = { slot: () => 0, add() {}, observe() {} }

/** Decides as the limiter would, and counts nothing. */
function lookingLimiter(limiter: Limiter): Limiter {
  return {
    key: (text) => limiter.key(text),
    acquire(key, windows, cost, out) {
      limiter.acquire(key, windows, 0, out)
      const states = out.slice(0, windows.length)
      const granted = states.every(({ remaining }) => remaining >= cost)
      if (granted) for (const state of states) state.remaining -= cost
      return granted
    },
  }
}
