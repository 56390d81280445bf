/** Services for policies whose decisions are to be explained: they tell what is, and change nothing. */
import type { Limiter } from './policies/kit/host.ts'
import type { PolicyServices } from './policy-runtime.ts'

export function dryServices(services: PolicyServices): PolicyServices {
  return {
    ...services,
    limiter: lookingLimiter(services.limiter),
    delays: { wait: () => Promise.resolve(), release() {} },
    metrics: { gauge: () => nothing, counter: () => nothing, histogram: () => nothing },
    publicApi: (path) => services.publicApi(path) && (async () => ({ status: 200 })),
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
    slide(key, window, cost, out) {
      const granted = limiter.slide(key, window, 0, out)
      if (granted) out.remaining = Math.max(0, out.remaining - cost)
      return granted
    },
    leak: (key, bucket) => limiter.leak(key, bucket, 0),
    enter(key, limit) {
      const presence = limiter.enter(key, limit)
      presence?.leave()
      return presence && { count: presence.count, leave() {} }
    },
  }
}
