/** Answers of language models that somebody looks at before the client gets them. */
import type { Relay, Verdict } from '../../../proxy/exchange.ts'
import { textsOf } from './answer.ts'
import type { ModelCall } from './call.ts'
import { isJson, parsedJson } from './chat.ts'

export interface Reviewer {
  /**
   * Judges a whole answer, of which nothing has gone out.
   * @returns an answer in its place; undefined: it may go
   */
  whole(text: string): Promise<Verdict | undefined>
  /** Begins with a stream. */
  stream(): StreamReview
}

export interface StreamReview {
  /** What goes out in place of this piece; null: nothing. */
  write(piece: Buffer): Promise<Buffer | null> | Buffer | null
  /** What goes out at the end. */
  end(): Promise<Buffer | null> | Buffer | null
  /** What was given back last is the end of the answer, whatever the service has still to say. */
  readonly isOver: boolean
}

/** Bytes of an answer that is judged as a whole. */
const largestAnswer = 64 * 1024 * 1024

/** @throws when the answer does not come, or is too large to be judged */
export async function reviewed(verdict: Verdict, call: ModelCall, isStream: boolean): Promise<Verdict> {
  const { relay } = verdict
  if (isStream && relay !== undefined) return { ...verdict, relay: new Reviewed(relay, call) }
  const body = relay === undefined ? verdict.body : (await wholeOf(relay)).toString()
  const value = typeof body === 'string' ? parsedJson(body) : body
  const text = isJson(value) ? textsOf(value, call.protocol).join(' ') : ''
  for (const reviewer of call.reviewers) {
    const other = await reviewer.whole(text)
    if (other !== undefined) return other
  }
  return relay === undefined ? verdict : { ...verdict, relay: held(relay.head, Buffer.from(String(body))) }
}

async function wholeOf(relay: Relay): Promise<Buffer> {
  const pieces: Buffer[] = []
  let size = 0
  try {
    for (let piece = await relay.read(); piece !== null; piece = await relay.read()) {
      pieces.push(piece)
      size += piece.length
      if (size > largestAnswer) throw new Error('an answer is too large to be judged')
    }
  } finally {
    relay.close()
  }
  return Buffer.concat(pieces)
}

function held(head: string, body: Buffer): Relay {
  let rest: Buffer | null = body
  return {
    head,
    read() {
      const piece = rest
      rest = null
      return piece
    },
    close() {},
  }
}

/** Each review sees what the one before it lets out. */
class Reviewed implements Relay {
  readonly head: string
  readonly #relay: Relay
  readonly #reviews: readonly StreamReview[]
  #isOver = false
  /** How the stream broke off, which the client is to notice behind what was held back. */
  #failure: { readonly reason: unknown } | null = null

  constructor(relay: Relay, call: ModelCall) {
    this.head = relay.head
    this.#relay = relay
    this.#reviews = call.reviewers.map((reviewer) => reviewer.stream())
  }

  async read(): Promise<Buffer | null> {
    while (!this.#isOver) {
      const piece = await this.#piece()
      if (piece === null) this.#isOver = true
      const out = piece === null ? await this.#end() : await this.#pass(piece)
      if (out !== null && out.length > 0) return out
    }
    if (this.#failure !== null) throw this.#failure.reason
    return null
  }

  async #piece(): Promise<Buffer | null> {
    try {
      return await this.#relay.read()
    } catch (reason) {
      this.#failure = { reason }
      return null
    }
  }

  close(): void {
    this.#relay.close()
  }

  async #pass(piece: Buffer): Promise<Buffer | null> {
    let out: Buffer | null = piece
    for (const review of this.#reviews) {
      if (out === null) return null
      out = await review.write(out)
      if (review.isOver) {
        this.#isOver = true
        return out
      }
    }
    return out
  }

  async #end(): Promise<Buffer | null> {
    let out: Buffer[] = []
    for (const review of this.#reviews) {
      const written: (Buffer | null)[] = []
      for (const piece of out) if (!review.isOver) written.push(await review.write(piece))
      if (!review.isOver) written.push(await review.end())
      out = written.filter((piece) => piece !== null)
      if (!review.isOver) continue
      // What was denied ends as it should, whatever came of the rest.
      this.#failure = null
      break
    }
    return out.length === 0 ? null : Buffer.concat(out)
  }
}
