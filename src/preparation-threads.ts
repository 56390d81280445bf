/** The thread that checks what a control plane is about to sign: started by the first question, and again when it ended. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Preparation, PreparationTask, PreparationTasks } from './control-plane/preparation.ts'
import type { FromPreparationThread, ToPreparationThread } from './preparation-thread.ts'

const threadFile = new URL(`./preparation-thread${extname(import.meta.url)}`, import.meta.url)
/** Milliseconds that an answer may take before the thread is given up. */
const longestAnswer = 120_000
/** What a check leaves behind is not worth keeping room for. */
const maxYoungGenerationSizeMb = 4

interface Waiting extends PromiseWithResolvers<unknown> {
  timer: NodeJS.Timeout
}

export class PreparationThread implements Preparation {
  #worker: Worker | undefined
  #last = 0
  readonly #waiting = new Map<number, Waiting>()

  async ask<Task extends PreparationTask>(
    task: Task,
    question: PreparationTasks[Task]['question'],
  ): Promise<PreparationTasks[Task]['answer']> {
    const worker = this.#running()
    const number = ++this.#last
    const answer = Promise.withResolvers<unknown>()
    const timer = setTimeout(() => void worker.terminate(), longestAnswer)
    this.#waiting.set(number, { ...answer, timer })
    const message: ToPreparationThread = { number, task, question }
    worker.postMessage(message)
    return (await answer.promise) as PreparationTasks[Task]['answer']
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
  }

  #running(): Worker {
    if (this.#worker !== undefined) return this.#worker
    const worker = new Worker(threadFile, {
      name: 'preparation',
      resourceLimits: { maxYoungGenerationSizeMb },
    })
    let reason = 'it ended'
    worker.on('message', (message: FromPreparationThread) => {
      const waiting = this.#take(message.number)
      if ('failed' in message) waiting?.reject(new Error(message.failed))
      else waiting?.resolve(message.answer)
    })
    worker.on('error', (error) => {
      reason = error instanceof Error ? error.message : String(error)
    })
    worker.on('exit', () => {
      this.#worker = undefined
      for (const number of [...this.#waiting.keys()]) {
        this.#take(number)?.reject(
          new Error(`the thread that checks configurations gave no answer: ${reason}`),
        )
      }
    })
    // What is left to do keeps the process, not the thread.
    worker.unref()
    this.#worker = worker
    return worker
  }

  #take(number: number): Waiting | undefined {
    const waiting = this.#waiting.get(number)
    this.#waiting.delete(number)
    clearTimeout(waiting?.timer)
    return waiting
  }
}
