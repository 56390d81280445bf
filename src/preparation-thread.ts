/** Entry of the thread that checks what a control plane is about to sign; see `control-plane/preparation.ts`. */
import { parentPort } from 'node:worker_threads'
import { type PreparationTask, Preparer } from './control-plane/preparation.ts'
import { catalogue, policySchemas } from './policies/index.ts'
import { version } from './version.ts'

export interface ToPreparationThread {
  number: number
  task: PreparationTask
  question: unknown
}

export type FromPreparationThread = { number: number } & ({ answer: unknown } | { failed: string })

const preparer = new Preparer(policySchemas(catalogue), version)
const port = parentPort!

function answer({ number, task, question }: ToPreparationThread): FromPreparationThread {
  try {
    return { number, answer: preparer.answer(task, question as never) }
  } catch (error) {
    return { number, failed: (error as Error).message }
  }
}

port.on('message', (message: ToPreparationThread) => port.postMessage(answer(message)))
