/** A thread that asks for its keys in turn as fast as it can, and reports how often each was granted. */
import { parentPort, workerData } from 'node:worker_threads'
import { Limiter } from '../../src/proxy/shared/limiter.ts'

const { table, threadId, gate, keys, windows, attempts } = workerData
const limiter = new Limiter(table, threadId)
const out = windows.map(() => ({ remaining: 0, resetMs: 0 }))
const grants: number[] = keys.map(() => 0)

Atomics.wait(new Int32Array(gate), 0, 0)
for (let attempt = 0; attempt < attempts; attempt++) {
  for (const key of keys.keys()) if (limiter.acquire(keys[key], windows, 1, out)) grants[key]!++
}
parentPort!.postMessage(grants)
