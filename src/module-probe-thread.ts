/** Entry of the thread that loads modules of an operator before anybody else does; see `module-probe.ts`. */
import { parentPort, workerData } from 'node:worker_threads'
import type { FromProbe, Probed } from './module-probe.ts'
import { importModule, reasonOf, takeAskedFiles } from './own-modules.ts'

const tell = (message: FromProbe) => parentPort!.postMessage(message)

for (const url of workerData as readonly string[]) {
  tell({ begun: url })
  takeAskedFiles()
  tell({ url, probed: await probe(url) })
}

async function probe(url: string): Promise<Probed> {
  try {
    const exports = await importModule(url)
    const functions = Object.keys(exports).filter((name) => typeof exports[name] === 'function')
    return { functions, files: takeAskedFiles() }
  } catch (error) {
    return { problem: reasonOf(error), files: takeAskedFiles() }
  }
}
