/** Services for policies whose decisions are to be explained: they tell what is, and change nothing. */
import { CallError } from './policies/kit/calls.ts'
import type { Limiter } from './policies/kit/host.ts'
import type { Counted, CounterStore } from './policies/kit/limits/counter-store.ts'
import type { PolicyServices } from './policy-runtime.ts'

export function dryServices(services: PolicyServices): PolicyServices {
  return {
    ...services,
    limiter: lookingLimiter(services.limiter),
    circuits: {
      isBroken: (key, rule) => services.circuits.isBroken(key, rule),
      failed() {},
      succeeded() {},
    },
    takeTurn: (name) => services.lookAtTurn(name),
    counterStore: (target) => lookingStore(services.counterStore(target)),
    valueStore(target) {
      const store = services.valueStore(target)
      return { get: (key) => store.get(key), set: async () => {}, delete: async () => {} }
    },
    cache: () => undefined,
    delays: { wait: () => Promise.resolve(), release() {} },
    metrics: { gauge: () => nothing, counter: () => nothing, histogram: () => nothing },
    publicApi: (path) => services.publicApi(path) && (async () => ({ status: 200 })),
    subrequest: async () => 'closed',
    calls: () => ({
      call: () => Promise.reject(new CallError('dry_run', 'no other service is asked to explain a request')),
    }),
    mayAsk: false,
    batches: { open: () => ({ push() {} }) as never },
    lines: () => ({ write() {} }),
    log: { debug() {}, info() {}, warn() {}, error() {} },
    onResourcesChanged() {},
  }
}

const nothing = { slot: () => 0, add() {}, observe() {} }

/** The same for counters that nodes share; who is under way cannot be looked at. */
function lookingStore(store: CounterStore): CounterStore {
  const judged = (counted: Counted, cost: number): Counted =>
    counted.remaining >= cost
      ? { ...counted, granted: cost, remaining: counted.remaining - cost }
      : { ...counted, granted: 0, remaining: 0 }
  return {
    acquire: async (key, window, cost) => judged(await store.acquire(key, window, 0), cost),
    slide: async (key, window, cost) => judged(await store.slide(key, window, 0), cost),
    leak: (key, bucket) => store.leak(key, bucket, 0),
    enter: async () => 1,
    leave: async () => {},
  }
}

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
