/** One data thread as the control thread sees it: orders that resolve when the thread reports back. */
import type { Worker } from 'node:worker_threads'
import type { PlanDelta } from '../config/plan.ts'
import type {
  Ports,
  QuestionName,
  Questions,
  ThreadStart,
  ToControlThread,
  ToDataThread,
} from './thread-protocol.ts'

/** Messages that no order waits for. */
export type ThreadReport = Extract<
  ToControlThread,
  { type: 'announce' | 'label' | 'lines' | 'log' | 'want-metrics' }
>

export interface ThreadEvents {
  report(report: ThreadReport): void
  /** An exception that nobody caught; the end of the thread follows. */
  crashed(error: Error): void
}

type Order = 'listen' | 'pause' | 'drain' | `plan ${number}` | `ask ${number}`
/** What an order resolves with. */
type Outcome = Ports | Questions[QuestionName]['answer']

export class ThreadHandle {
  readonly threadId: number
  /** Resolves with the exit code once the thread is gone. */
  readonly ended: Promise<number>
  /** Resolves once the thread runs the plan it was started with. */
  readonly started: Promise<void>
  readonly #worker: Worker
  readonly #events: ThreadEvents
  readonly #orders = new Map<Order, PromiseWithResolvers<Outcome>>()
  #asked = 0
  #gone = false

  /** Takes over a thread that was not told anything yet. */
  constructor(worker: Worker, start: ThreadStart, events: ThreadEvents) {
    this.threadId = start.threadId
    this.#events = events
    this.#worker = worker
    this.#worker.on('message', (message: ToControlThread) => this.#receive(message))
    this.#worker.on('error', (error) => events.crashed(error as Error))
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        this.#gone = true
        for (const order of this.#orders.keys()) this.#fail(order, `data thread ${this.threadId} ended`)
        resolve(code)
      })
    })
    this.started = this.#expect(`plan ${start.delta.version}`).then(() => {})
    // Whoever waits for it hears of a failure; it is no crash of the process when nobody does.
    this.started.catch(() => {})
    this.post({ type: 'start', start })
  }

  get gone(): boolean {
    return this.#gone
  }

  /** It was given a plan and has not answered. */
  get isApplying(): boolean {
    for (const order of this.#orders.keys()) if (order.startsWith('plan ')) return true
    return false
  }

  /** Rejects when the thread refuses the plan or ends before it answered. */
  async apply(delta: PlanDelta): Promise<void> {
    const answer = this.#expect(`plan ${delta.version}`)
    this.post({ type: 'plan', delta })
    await answer
  }

  /** The ports that the listeners got. */
  async listen(ports?: Ports): Promise<Ports> {
    const answer = this.#expect('listen')
    this.post(ports === undefined ? { type: 'listen' } : { type: 'listen', ports })
    return ((await answer) as Ports | undefined) ?? new Map()
  }

  /** Resolves when nothing listens any more, or the thread is gone. */
  async pause(): Promise<void> {
    const answer = this.#expect('pause')
    this.post({ type: 'pause' })
    await Promise.race([answer.catch(() => {}), this.ended])
  }

  /** Resolves when the thread has finished what was in flight, or is gone. */
  async drain(): Promise<void> {
    const answer = this.#expect('drain')
    this.post({ type: 'drain' })
    await Promise.race([answer.catch(() => {}), this.ended])
  }

  /** Rejects when the thread cannot answer, or ends before it did. */
  async ask<N extends QuestionName>(
    name: N,
    question: Questions[N]['question'],
  ): Promise<Questions[N]['answer']> {
    const id = ++this.#asked
    const answer = this.#expect(`ask ${id}`)
    this.post({ type: 'ask', id, name, question })
    return (await answer) as Questions[N]['answer']
  }

  post(message: ToDataThread): void {
    this.#worker.postMessage(message)
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate()
  }

  #receive(message: ToControlThread): void {
    switch (message.type) {
      case 'applied':
        this.#fulfil(`plan ${message.version}`)
        break
      case 'refused':
        this.#fail(`plan ${message.version}`, message.message)
        break
      case 'listening':
        this.#fulfil('listen', message.ports)
        break
      case 'listen-failed':
        this.#fail('listen', message.message)
        break
      case 'paused':
        this.#fulfil('pause')
        break
      case 'answer':
        this.#fulfil(`ask ${message.id}`, message.answer)
        break
      case 'no-answer':
        this.#fail(`ask ${message.id}`, message.message)
        break
      case 'drained':
        this.#fulfil('drain')
        break
      default:
        this.#events.report(message)
    }
  }

  #expect(order: Order): Promise<Outcome> {
    const pending = Promise.withResolvers<Outcome>()
    this.#orders.set(order, pending)
    if (this.#gone) this.#fail(order, `data thread ${this.threadId} ended`)
    return pending.promise
  }

  #fulfil(order: Order, outcome?: Outcome): void {
    this.#orders.get(order)?.resolve(outcome)
    this.#orders.delete(order)
  }

  #fail(order: Order, message: string): void {
    this.#orders.get(order)?.reject(new Error(message))
    this.#orders.delete(order)
  }
}
