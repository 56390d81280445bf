/**
 * Where a store outlives the process: one SQLite file, written by a thread of its own, because a disk may take its time
 * and the control thread has other things to watch.
 */
import { once } from 'node:events'
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { KeyRing } from './value-cipher.ts'

/** One resource as it was written. */
export interface StoredResource {
  kind: string
  id: string
  /** JSON. */
  value: string
  /** Revisions of the store, which rises by one with each change. */
  created: number
  modified: number
  /** Epoch seconds; null: never. */
  expires: number | null
}

export interface StoredFact {
  name: string
  value: string
}

export type DiskChange =
  | { put: StoredResource }
  | { remove: { kind: string; id: string } }
  | { fact: StoredFact }

export interface Disk {
  /** What was there when it was opened. */
  readonly resources: readonly StoredResource[]
  readonly facts: readonly StoredFact[]
  /** All of it or, when it rejects, nothing. Resolves when it survives a loss of power. */
  write(changes: readonly DiskChange[]): Promise<void>
  close(): Promise<void>
}

/** The first is sent once; it opens the file. */
export type ToDiskThread =
  | { open: { folder: string; keyRing: KeyRing } }
  | { write: readonly DiskChange[] }
  | { close: true }

export type FromDiskThread =
  | { opened: { resources: StoredResource[]; facts: StoredFact[] } }
  | { written: true }
  | { failed: string }
  | { closed: true }

/**
 * @throws when the folder or the file cannot be used, was written by a later version, or is encrypted with a key that the
 * ring does not hold
 */
export async function openDisk(folder: string, keyRing: KeyRing = noKeys): Promise<Disk> {
  const thread = new DiskThread()
  const opened = await thread.open(folder, keyRing)
  if (!('opened' in opened)) throw new Error('the thread of the store did not open it')
  return {
    ...opened.opened,
    write: async (changes) => {
      await thread.ask({ write: changes })
    },
    close: () => thread.close(),
  }
}

const noKeys: KeyRing = { keys: [], encrypt: false }

class DiskThread {
  readonly #worker = new Worker(new URL(`./disk-thread${extname(import.meta.url)}`, import.meta.url), {
    name: 'store',
  })
  /** One question is open at a time. */
  #answer: PromiseWithResolvers<FromDiskThread> | undefined
  #ended: Error | undefined

  constructor() {
    this.#worker.on('message', (message: FromDiskThread) => {
      if ('failed' in message) this.#answer?.reject(new Error(message.failed))
      else this.#answer?.resolve(message)
    })
    this.#worker.on('error', (error) => this.#end(error as Error))
    this.#worker.on('exit', () => this.#end(new Error('the thread of the store ended')))
    // What is being written keeps the process alive through the promise of whoever waits for it.
    this.#worker.unref()
  }

  /** The thread ends with a file that it cannot open. */
  async open(folder: string, keyRing: KeyRing): Promise<FromDiskThread> {
    try {
      return await this.ask({ open: { folder, keyRing } })
    } catch (error) {
      await this.#worker.terminate()
      throw error
    }
  }

  async ask(question: ToDiskThread): Promise<FromDiskThread> {
    if (this.#ended !== undefined) throw this.#ended
    this.#answer = Promise.withResolvers()
    this.#worker.ref()
    this.#worker.postMessage(question)
    try {
      return await this.#answer.promise
    } finally {
      this.#worker.unref()
    }
  }

  async close(): Promise<void> {
    if (this.#ended !== undefined) return
    const exited = once(this.#worker, 'exit')
    await this.ask({ close: true })
    await exited
  }

  #end(error: Error): void {
    this.#ended ??= error
    this.#answer?.reject(this.#ended)
  }
}
