import http, { type ClientRequest } from 'node:http'
import https from 'node:https'
import type { Exchange, PolicyHost } from '../kit/index.ts'

const mostUnderWay = 256
const mostWaiting = 1024 * 1024
/** Milliseconds. */
const longest = 30_000

export interface MirroredRequest {
  write(piece: Buffer): void
  end(): void
}

type Outcome = 'answered' | 'failed' | 'given_up' | 'skipped'

/** The server that gets copies, with its connections. */
export class Mirror {
  readonly #url: URL
  readonly #agent: http.Agent
  readonly #count: (outcome: Outcome) => void
  #underWay = 0

  constructor(address: string, { metrics, binding }: Pick<PolicyHost, 'metrics' | 'binding'>) {
    this.#url = new URL(address)
    const options = { keepAlive: true, maxSockets: mostUnderWay, maxFreeSockets: 16 }
    this.#agent = this.#url.protocol === 'https:' ? new https.Agent(options) : new http.Agent(options)
    const counter = metrics.counter(
      'sluice_mirrored_requests_total',
      'Copies of requests by what became of them.',
      ['route', 'outcome'],
    )
    const slots = new Map<Outcome, number>()
    this.#count = (outcome) => {
      const slot = slots.get(outcome) ?? counter.slot([binding.routeId, outcome])
      slots.set(outcome, slot)
      counter.add(slot, 1)
    }
  }

  /**
   * Begins a copy of the head as it goes to the upstream.
   *
   * @param whole the body, one character a byte, where all of it is there; null: it comes piece by piece
   * @returns undefined: there are too many already
   */
  begin({ request }: Exchange, path: string, whole: string | null): MirroredRequest | undefined {
    if (this.#underWay >= mostUnderWay) {
      this.#count('skipped')
      return undefined
    }
    const fields: string[] = []
    request.headers.forEach((name, value) => {
      if (!hopByHop.has(name.toLowerCase())) fields.push(name, value)
    })
    const length = whole === null ? request.contentLength : whole.length
    if (length > 0) fields.push('Content-Length', String(length))
    else if (length < 0) fields.push('Transfer-Encoding', 'chunked')
    const { protocol, hostname, port, host } = this.#url
    if (!request.headers.has('host')) fields.push('Host', host)
    const copy = (protocol === 'https:' ? https : http).request({
      agent: this.#agent,
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port,
      method: request.method,
      path,
      headers: fields,
      setHost: false,
    })
    this.#underWay++
    this.#watch(copy)
    const mirrored = copyOf(copy, length)
    if (whole === null || whole === '') return mirrored
    copy.end(Buffer.from(whole, 'latin1'))
    return { write() {}, end() {} }
  }

  #watch(copy: ClientRequest): void {
    let outcome: Outcome | undefined
    const over = (became: Outcome) => {
      if (outcome !== undefined) return
      outcome = became
      clearTimeout(timer)
      this.#underWay--
      this.#count(became)
    }
    const timer = setTimeout(() => {
      over('given_up')
      copy.destroy()
    }, longest).unref()
    copy.on('response', (answer) => {
      answer.on('error', () => over('failed'))
      answer.on('close', () => over('answered'))
      answer.resume()
    })
    copy.on('error', () => over('failed'))
    copy.on('close', () => over(copy.writableLength > mostWaiting ? 'given_up' : 'failed'))
  }
}

function copyOf(copy: ClientRequest, length: number): MirroredRequest {
  let left = length
  if (length === 0) copy.end()
  return {
    write(piece) {
      if (copy.destroyed || copy.writableEnded) return
      if (copy.writableLength > mostWaiting) {
        copy.destroy()
        return
      }
      // The engine reads into the same memory again.
      copy.write(Buffer.from(piece))
      left -= piece.length
      if (left === 0) copy.end()
    },
    end() {
      if (copy.destroyed || copy.writableEnded) return
      if (left > 0) copy.destroy()
      else copy.end()
    },
  }
}

/** What frames the message is written anew (RFC 9110 7.6.1). */
const hopByHop = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
