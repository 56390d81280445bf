/** Data threads that load their modules while there is no plan for them yet, so that a start need not wait for that. */
import { getCompileCacheDir } from 'node:module'
import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'

const mebibyte = 1024 * 1024
/** Without so much a thread cannot even load. */
const leastHeap = 16 * mebibyte

export class SpareThreads {
  readonly #module: URL
  readonly #spares = new Set<Worker>()

  /** `count` threads begin to load at once. */
  constructor(module: URL, count: number) {
    this.#module = module
    for (let i = 0; i < count; i++) this.#add()
  }

  /**
   * One that is loading or loaded, else a new one.
   * @param heap bytes; a spare has the limit of Node.js, which 0 stands for
   */
  take(heap = 0): Worker {
    if (heap > 0) return this.#make(heap)
    for (const spare of this.#spares) {
      this.#spares.delete(spare)
      spare.removeAllListeners()
      return spare
    }
    return this.#make()
  }

  /** Ends those that nobody took. */
  async close(): Promise<void> {
    await Promise.all([...this.#spares].map((spare) => spare.terminate()))
  }

  #add(): void {
    const spare = this.#make()
    this.#spares.add(spare)
    // One that cannot even load is not offered; the next one says why to whoever takes it.
    spare.on('error', () => this.#spares.delete(spare))
    spare.on('exit', () => this.#spares.delete(spare))
  }

  #make(heap = 0): Worker {
    const resourceLimits = { maxOldGenerationSizeMb: Math.ceil(Math.max(heap, leastHeap) / mebibyte) }
    return new Worker(this.#module, {
      name: 'data',
      env: threadEnvironment(),
      ...(heap > 0 && { resourceLimits }),
    })
  }
}

/** A thread does not share the compile cache of the process unless it is told, and told before its first module. */
function threadEnvironment(): NodeJS.ProcessEnv {
  const folder = getCompileCacheDir()
  // The folder that is in use belongs to one version of Node.js, below the one that the variable names.
  return folder === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(folder) }
}
