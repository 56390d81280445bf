/** A thread that writes numbered lines of many lengths through a sink of its own. */
import { workerData } from 'node:worker_threads'
import { FileDestination, LineSink } from '../../src/telemetry/line-sink.ts'

const { path, name, lines } = workerData
const sink = new LineSink(new FileDestination(path), { batchSize: 10_000 })
for (let line = 0; line < lines; line++) {
  sink.write(`${name} ${line} ${'.'.repeat(line % 300)}|`)
  if (line % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
}
await sink.close()
if (sink.dropped > 0) throw new Error(`${sink.dropped} lines were dropped`)
