/** Node's own parser, driven without a server: the strictness that the engine must not fall short of. */
import { createRequire } from 'node:module'
import type { Kind, Reading, ReadMessage } from './reading.ts'

interface Parser {
  initialize(type: number, resource: object, maxHeaderSize: number, lenient: number): void
  execute(bytes: Buffer): number | (Error & { code: string })
  finish(): number | Error | undefined
  [callback: number]: unknown
}
interface ParserClass {
  new (): Parser
  REQUEST: number
  RESPONSE: number
  kOnMessageBegin: number
  kOnHeaders: number
  kOnHeadersComplete: number
  kOnBody: number
  kOnMessageComplete: number
  kLenientNone: number
}

// Internal, but the only way to llhttp that costs microseconds instead of a server with its sockets.
const { HTTPParser, methods } = createRequire(import.meta.url)('node:_http_common') as {
  HTTPParser: ParserClass
  methods: string[]
}

const maxHeadBytes = 1 << 20
/** Its number stands behind those of RTSP, where Node's list of names does not reach. */
const query = 46

export class Llhttp {
  private readonly parser = new HTTPParser()
  private kind: Kind = 'request'
  private messages: ReadMessage[] = []
  private current: ReadMessage | null = null
  private headDone = false

  constructor() {
    const { parser } = this
    parser[HTTPParser.kOnMessageBegin] = () => {
      this.current = { start: '', minor: 1, fields: [], body: '', trailers: [] }
      this.headDone = false
    }
    // Called for heads of more than 32 fields, in portions, and for trailers.
    parser[HTTPParser.kOnHeaders] = (fields: string[], url: string) => {
      this.takeFields(fields)
      if (!this.headDone) this.current!.start += url
    }
    parser[HTTPParser.kOnHeadersComplete] = (
      _major: number,
      minor: number,
      fields: string[] | undefined,
      method: number | undefined,
      url: string | undefined,
      status: number | undefined,
      reason: string | undefined,
    ) => {
      const message = this.current!
      message.minor = minor
      if (fields !== undefined) this.takeFields(fields)
      const isRequest = this.kind === 'request'
      message.start = isRequest
        ? `${method === query ? 'QUERY' : methods[method!]} ${url ?? message.start}`
        : `${status} ${reason}`
      this.headDone = true
      return 0
    }
    parser[HTTPParser.kOnBody] = (chunk: Buffer) => {
      this.current!.body += chunk.toString('latin1')
    }
    parser[HTTPParser.kOnMessageComplete] = () => {
      this.messages.push(this.current!)
      this.current = null
    }
  }

  /** Reads all of `bytes`; a response body that has no length ends with them. */
  read(kind: Kind, bytes: Buffer): Reading {
    this.kind = kind
    this.messages = []
    const { parser } = this
    const type = kind === 'request' ? HTTPParser.REQUEST : HTTPParser.RESPONSE
    parser.initialize(type, {}, maxHeadBytes, HTTPParser.kLenientNone)
    const result = parser.execute(bytes)
    if (!(result instanceof Error)) parser.finish()
    const ended = result instanceof Error && result.code === 'HPE_CLOSED_CONNECTION'
    return { messages: this.messages, refused: result instanceof Error && !ended, ended }
  }

  private takeFields(fields: string[]): void {
    const message = this.current!
    const list = this.headDone ? message.trailers : message.fields
    for (let index = 0; index < fields.length; index += 2) list.push([fields[index]!, fields[index + 1]!])
  }
}
