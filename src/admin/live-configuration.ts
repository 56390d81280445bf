/**
 * The running configuration while it changes. Changes wait in one line; those that came together are made together:
 * one difference for the data threads, one commit of the store. Each gets its own answer, and only when all threads
 * run the change and it is durable.
 */
import type { Configuration, Undo } from '../config/configuration.ts'
import { invertDelta } from '../config/diff.ts'
import type { Plan, PlanChanges } from '../config/plan.ts'
import { adminKinds } from './api/kinds.ts'
import type { Store } from './api/store.ts'

/** The supervisor, as far as changes concern it. */
export interface ChangeTarget {
  readonly plan: Plan
  change(changes: PlanChanges): Promise<Outcome>
  apply(plan: Plan): Promise<Outcome>
}

type Outcome =
  | { outcome: 'applied'; version: number; changes: Record<string, number> }
  | { outcome: 'unchanged'; version: number }
  | { outcome: 'refused'; reason: string }

/** What a job may do. It looks and changes in one go, without waiting. */
export interface Transaction {
  readonly configuration: Configuration
  readonly store: Store
  /** To be called before the first change, and once for each change of the configuration with how it is taken back. */
  writes(undo?: Undo): void
}

/** Thrown by a job that only tries: everything that it changed is taken back, and it is answered with this. */
export class Tried<T> extends Error {
  readonly result: T

  constructor(result: T) {
    super('nothing was changed')
    this.result = result
  }
}

/** The data threads or the disk did not take the change; nothing of it is left. */
export class NotApplied extends Error {}

interface Job {
  run(transaction: Transaction): unknown
  readonly answer: PromiseWithResolvers<unknown>
}

/** A configuration that was read anew. */
export interface Reading {
  plan: Plan
  configuration: Configuration
}

/** So that one that waits long gets its turn. */
const longestBatch = 500

export class LiveConfiguration {
  readonly #target: ChangeTarget
  readonly #store: Store
  #configuration: Configuration
  #jobs: Job[] = []
  /** The turns of batches and readings, one at a time. Never rejects. */
  #turns: Promise<unknown> = Promise.resolve()
  #scheduled = false

  constructor(target: ChangeTarget, store: Store, configuration: Configuration) {
    this.#target = target
    this.#store = store
    this.#configuration = configuration
    keepOthers(store, configuration)
  }

  get configuration(): Configuration {
    return this.#configuration
  }

  get store(): Store {
    return this.#store
  }

  /**
   * Resolves with what the job returns, once everything that it changed, and that others changed before it, is in
   * force. A job may run twice; the last time counts.
   * @throws what the job throws, or `NotApplied`
   */
  run<T>(job: (transaction: Transaction) => T): Promise<T> {
    const answer = Promise.withResolvers<unknown>()
    this.#jobs.push({ run: job, answer })
    this.#schedule()
    return answer.promise as Promise<T>
  }

  /** What the job would return, were it run; nothing of it stays. */
  async try<T>(job: (transaction: Transaction) => T): Promise<T> {
    try {
      return await this.run((transaction): T => {
        throw new Tried(job(transaction))
      })
    } catch (error) {
      if (error instanceof Tried) return error.result as T
      throw error
    }
  }

  /**
   * Reads everything anew, with what the store holds at that moment, and puts it to work.
   * @param taken is called before anything else is read
   */
  reload(
    read: () => Promise<Reading | undefined>,
    taken: () => void = () => {},
  ): Promise<Outcome | undefined> {
    return this.#turn(async () => {
      const reading = await read()
      if (reading === undefined) return undefined
      const result = await this.#target.apply(reading.plan)
      if (result.outcome === 'refused') return result
      this.#configuration = reading.configuration
      keepOthers(this.#store, reading.configuration)
      taken()
      return result
    })
  }

  /** What the job returns, when everything that was asked for before it is in force or refused, and nothing else has begun. */
  look<T>(job: () => T): Promise<T> {
    return this.#turn(async () => job())
  }

  /** Resolves when nothing is under way. */
  async settle(): Promise<void> {
    await this.#turns
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    void this.#turn(async () => {
      this.#scheduled = false
      const batch = this.#jobs.splice(0, longestBatch)
      if (this.#jobs.length > 0) this.#schedule()
      await this.#work(batch)
    })
  }

  async #work(batch: readonly Job[]): Promise<void> {
    const undos: Undo[] = []
    const answers: (() => void)[] = []
    try {
      for (const job of batch) answers.push(this.#perform(job, undos))
      const changes = this.#configuration.takeChanges(this.#target.plan)
      if (this.#store.inTransaction) await this.#enforce(changes)
    } catch (error) {
      for (const undo of undos.reverse()) undo()
      this.#configuration.takeChanges(this.#target.plan)
      this.#store.rollback()
      // Whose change it was is found by making each alone.
      if (batch.length > 1) for (const job of batch) await this.#work([job])
      else batch[0]!.answer.reject(error)
      return
    }
    for (const answer of answers) answer()
  }

  /** @returns what answers the job, for when the batch is done */
  #perform(job: Job, undos: Undo[]): () => void {
    const store = this.#store
    const first = undos.length
    let mark: ReturnType<Store['mark']> | undefined
    const writes = (undo?: Undo) => {
      if (undo !== undefined) undos.push(undo)
      if (!store.inTransaction) store.begin()
      mark ??= store.mark()
    }
    try {
      const result = job.run({ configuration: this.#configuration, store, writes })
      return () => job.answer.resolve(result)
    } catch (error) {
      for (const undo of undos.splice(first).reverse()) undo()
      if (mark !== undefined) store.backTo(mark)
      return () => job.answer.reject(error)
    }
  }

  async #enforce(changes: PlanChanges): Promise<void> {
    const before = invertDelta(this.#target.plan, { ...changes, version: 0 })
    const result = await this.#target.change(changes)
    if (result.outcome === 'refused') throw new NotApplied(result.reason)
    try {
      await this.#store.commit()
    } catch (error) {
      await this.#target.change(before)
      throw new NotApplied(`it could not be made durable: ${(error as Error).message}`)
    }
  }

  #turn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turns.then(work)
    this.#turns = result.catch(() => {})
    return result
  }
}

/** What the store holds of kinds that are not part of a plan. */
function keepOthers(store: Store, configuration: Configuration): void {
  for (const { name, plan } of adminKinds.values()) {
    if (plan !== undefined) continue
    for (const { id, value } of store.list(name)) configuration.keep(name, id, JSON.parse(value) as object)
  }
}
