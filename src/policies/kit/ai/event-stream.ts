/** Server-sent events (WHATWG HTML 9.2) out of pieces that are cut anywhere. */

export interface ServerEvent {
  /** `message` where the stream does not say. */
  readonly type: string
  readonly data: string
}

/** Characters of an event that does not end. */
const longest = 1024 * 1024

export class EventStream {
  readonly #decoder = new TextDecoder()
  #rest = ''
  /** An event was too long: everything up to its end is left out. */
  #skips = false

  /** The events that end with this piece. */
  read(piece: Uint8Array): ServerEvent[] {
    let text = this.#rest + this.#decoder.decode(piece, { stream: true })
    // A line feed that is still to come belongs to it.
    const held = text.endsWith('\r') ? '\r' : ''
    if (held !== '') text = text.slice(0, -1)
    if (text.includes('\r')) text = text.replaceAll('\r\n', '\n').replaceAll('\r', '\n')
    const events: ServerEvent[] = []
    let from = 0
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n', from)) {
      const event = this.#skips ? undefined : eventOf(text.slice(from, end))
      this.#skips = false
      if (event !== undefined) events.push(event)
      from = end + 2
    }
    this.#rest = text.slice(from)
    if (this.#rest.length > longest) {
      this.#skips = true
      // The first half of an empty line may be there already.
      this.#rest = this.#rest.endsWith('\n') ? '\n' : ''
    }
    this.#rest += held
    return events
  }
}

function eventOf(text: string): ServerEvent | undefined {
  let type = 'message'
  const data: string[] = []
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon < 1) continue
    const from = line[colon + 1] === ' ' ? colon + 2 : colon + 1
    const name = line.slice(0, colon)
    if (name === 'data') data.push(line.slice(from))
    else if (name === 'event') type = line.slice(from)
  }
  return data.length === 0 && type === 'message' ? undefined : { type, data: data.join('\n') }
}

export function writtenEvent(type: string, data: unknown): string {
  return `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`
}
