/** The sessions of this thread, and the way to those of the others: a client's messages may come to any of them. */
import { randomUUID } from 'node:crypto'
import { BroadcastChannel } from 'node:worker_threads'
import type { Session } from './session.ts'

/** Milliseconds in which another thread says that a session is its own. */
const patience = 1000
/** Messages that wait for that. */
const mostAsked = 1000

interface Ask {
  readonly ask: string
  readonly session: string
  readonly owner: string
  readonly message: string
}
interface Say {
  readonly say: string
  readonly taken: boolean
}

class Sessions {
  readonly #own = new Map<string, Session>()
  readonly #asked = new Map<string, (taken: boolean) => void>()
  #channel: BroadcastChannel | null = null

  /** Programs that have not ended. */
  get size(): number {
    return this.#own.size
  }

  add(session: Session): void {
    this.#open()
    this.#own.set(session.id, session)
  }

  delete(session: Session): void {
    this.#own.delete(session.id)
  }

  /** @returns whether it was taken; undefined: there is no such session of that owner */
  async send(session: string, owner: string, message: string): Promise<boolean | undefined> {
    const own = this.#own.get(session)
    if (own !== undefined) return own.owner === owner && !own.isOver ? own.send(message) : undefined
    if (this.#asked.size >= mostAsked) return false
    this.#open()
    const ask = randomUUID()
    return new Promise((resolve) => {
      const end = (taken: boolean | undefined) => {
        clearTimeout(timer)
        this.#asked.delete(ask)
        resolve(taken)
      }
      const timer = setTimeout(() => end(undefined), patience)
      this.#asked.set(ask, end)
      this.#channel!.postMessage({ ask, session, owner, message } satisfies Ask)
    })
  }

  #open(): void {
    if (this.#channel !== null) return
    this.#channel = new BroadcastChannel('sluice:mcp-bridge')
    this.#channel.unref()
    this.#channel.onmessage = (event) => this.#heard((event as { data: Ask | Say }).data)
  }

  #heard(heard: Ask | Say): void {
    if ('say' in heard) {
      this.#asked.get(heard.say)?.(heard.taken)
      return
    }
    const own = this.#own.get(heard.session)
    if (own === undefined || own.isOver || own.owner !== heard.owner) return
    this.#channel!.postMessage({ say: heard.ask, taken: own.send(heard.message) } satisfies Say)
  }
}

export const sessions = new Sessions()
