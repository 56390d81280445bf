/**
 * A strict HTTP/1.1 reader, written apart from the engine so that the two can disagree.
 * It repairs nothing: whatever a second parser could read in another way becomes a finding,
 * `ambiguous` when it can move the border of a message, else `untidy`.
 */

export interface Field {
  name: string
  lower: string
  value: string
}

export type Framing = 'none' | 'length' | 'chunked' | 'close' | 'tunnel'

export interface Message {
  startLine: string
  /** Of the request itself, or of the request that a response answers. */
  method: string
  target: string
  version: string
  /** 0 for requests. */
  status: number
  reason: string
  fields: Field[]
  trailers: Field[]
  body: Buffer
  bodyBytes: number
  framing: Framing
  chunkExtensions: number
  complete: boolean
}

export interface Finding {
  rule: string
  severity: 'ambiguous' | 'untidy'
  detail: string
}

export interface ReaderHooks {
  /** The method that the next final response answers; GET when absent. */
  nextMethod?: () => string
  onHead?: (message: Message) => void
  onInterim?: (message: Message) => void
  onComplete?: (message: Message) => void
}

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const keptBodyBytes = 1 << 20
const noBytes: Buffer = Buffer.alloc(0)

type State =
  | 'start'
  | 'fields'
  | 'length'
  | 'close'
  | 'size'
  | 'data'
  | 'border'
  | 'trailers'
  | 'tunnel'
  | 'lost'

export class MessageReader {
  /** Requests, or final responses (101 included), the last one perhaps unfinished. */
  readonly messages: Message[] = []
  /** 1xx responses other than 101. */
  readonly interim: Message[] = []
  readonly findings: Finding[] = []
  /** Bytes after a 101. */
  tunnel: Buffer = noBytes
  state: State = 'start'

  private readonly kind: 'request' | 'response'
  private readonly hooks: ReaderHooks
  private pending: Buffer = noBytes
  private searched = 0
  private current: Message | null = null
  private left = 0

  constructor(kind: 'request' | 'response', hooks: ReaderHooks = {}) {
    this.kind = kind
    this.hooks = hooks
  }

  push(chunk: Buffer): void {
    if (this.state === 'lost') return
    this.pending = this.pending.length > 0 ? Buffer.concat([this.pending, chunk]) : chunk
    while (this.step());
  }

  /** The peer has closed its sending side. */
  end(): void {
    if (this.state === 'close') this.finish()
  }

  /** Bytes that belong to no complete message. */
  get leftover(): Buffer {
    return this.pending
  }

  /** Consumes one element; false when more bytes are needed. */
  private step(): boolean {
    switch (this.state) {
      case 'start':
        return this.readStartLine()
      case 'fields':
        return this.readField(false)
      case 'trailers':
        return this.readField(true)
      case 'length':
      case 'data':
        return this.readCounted()
      case 'size':
        return this.readChunkSize()
      case 'border':
        return this.readChunkBorder()
      case 'close':
        this.take(this.pending.length)
        return false
      case 'tunnel':
        this.tunnel = Buffer.concat([this.tunnel, this.pending])
        this.pending = noBytes
        return false
      case 'lost':
        return false
    }
  }

  private note(rule: string, detail: string, severity: Finding['severity'] = 'ambiguous'): void {
    this.findings.push({ rule, severity, detail: detail.slice(0, 120) })
  }

  private lose(rule: string, detail: string): false {
    this.note(rule, detail)
    this.state = 'lost'
    return false
  }

  private line(where: string): string | null {
    const lineFeed = this.pending.indexOf(10, this.searched)
    if (lineFeed < 0) {
      this.searched = this.pending.length
      return null
    }
    const hasReturn = lineFeed > 0 && this.pending[lineFeed - 1] === 13
    const text = this.pending.toString('latin1', 0, hasReturn ? lineFeed - 1 : lineFeed)
    this.pending = this.pending.subarray(lineFeed + 1)
    this.searched = 0
    if (!hasReturn) this.note(`bare-lf-in-${where}`, text)
    if (text.includes('\r')) this.note(`bare-cr-in-${where}`, text)
    if (text.includes('\0')) this.note(`nul-in-${where}`, text)
    return text
  }

  private readStartLine(): boolean {
    const text = this.line('start-line')
    if (text === null) return false
    if (text === '') {
      this.note('empty-line-before-message', '', 'untidy')
      return true
    }
    const message: Message = {
      startLine: text,
      method: '',
      target: '',
      version: '',
      status: 0,
      reason: '',
      fields: [],
      trailers: [],
      body: noBytes,
      bodyBytes: 0,
      framing: 'none',
      chunkExtensions: 0,
      complete: false,
    }
    this.current = message
    if (this.kind === 'request') {
      this.messages.push(message)
      if (!this.readRequestLine(message, text)) return false
    } else if (!this.readStatusLine(message, text)) return false
    this.state = 'fields'
    return true
  }

  private readRequestLine(message: Message, text: string): boolean {
    const parts = /^([^ ]+) ([^ ]+) HTTP\/(\d\.\d)$/.exec(text)
    if (!parts) return this.lose('request-line', text)
    const [, method = '', target = '', version = ''] = parts
    message.method = method
    message.target = target
    message.version = version
    if (version !== '1.1' && version !== '1.0') this.note('version', text)
    if (!token.test(method)) this.note('method', method)
    if (/[\x00-\x20\x7f]/.test(target)) this.note('control-in-target', JSON.stringify(target))
    if (/[^\x00-\x7f]/.test(target)) this.note('8-bit-in-target', target, 'untidy')
    const originForm = target.startsWith('/')
    const asteriskForm = target === '*' && method === 'OPTIONS'
    if (!originForm && !asteriskForm) {
      if (/^https?:\/\//i.test(target)) this.note('absolute-form', target, 'untidy')
      else if (method !== 'CONNECT') this.note('target-form', target)
    }
    return true
  }

  private readStatusLine(message: Message, text: string): boolean {
    const parts = /^HTTP\/(\d\.\d) (\d{3})(?: (.*))?$/.exec(text)
    if (!parts) return this.lose('status-line', text)
    message.version = parts[1] ?? ''
    message.status = Number(parts[2])
    message.reason = parts[3] ?? ''
    if (!message.version.startsWith('1.')) this.note('version', text)
    if (message.status < 100 || message.status > 599) this.note('status-range', text, 'untidy')
    if (/[\x00-\x08\x0a-\x1f\x7f]/.test(message.reason)) this.note('control-in-reason', text)
    return true
  }

  private readField(trailer: boolean): boolean {
    const where = trailer ? 'trailer' : 'field'
    const text = this.line(where)
    if (text === null) return false
    const message = this.current!
    if (text === '') {
      if (trailer) this.finish()
      else this.readFraming(message)
      return true
    }
    const list = trailer ? message.trailers : message.fields
    if (text.startsWith(' ') || text.startsWith('\t')) {
      this.note(`obs-fold-in-${where}`, text)
      return true
    }
    const colon = text.indexOf(':')
    if (colon < 0) {
      this.note(`${where}-without-colon`, text)
      return true
    }
    const name = text.slice(0, colon)
    const value = text.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')
    if (!token.test(name)) this.note(`${where}-name`, JSON.stringify(name))
    if (/[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(value)) {
      this.note(`control-in-${where}`, JSON.stringify(text), 'untidy')
    }
    list.push({ name, lower: name.toLowerCase(), value })
    return true
  }

  /** RFC 9112 section 6.3, with every choice that the section leaves to the recipient taken as a finding. */
  private readFraming(message: Message): void {
    const lengths = values(message, 'content-length')
    const codings = values(message, 'transfer-encoding')
    let length = -1
    if (lengths.length > 1) this.note('several-content-lengths', lengths.join(' | '))
    for (const text of lengths) {
      if (!/^\d+$/.test(text)) this.note('content-length', JSON.stringify(text))
      else if (Number(text) > Number.MAX_SAFE_INTEGER) this.note('content-length-range', text)
      else length = Number(text)
    }
    const chunked = codings.length > 0 && this.isChunked(message, codings, lengths.length > 0)
    if (this.kind === 'request') {
      this.checkHost(message)
      this.begin(message, chunked ? 'chunked' : length > 0 ? 'length' : 'none', length)
      return
    }
    if (message.status >= 100 && message.status < 200 && message.status !== 101) {
      if (lengths.length + codings.length > 0) this.note('framing-of-1xx', message.startLine, 'untidy')
      message.complete = true
      this.interim.push(message)
      this.current = null
      this.state = 'start'
      this.hooks.onInterim?.(message)
      return
    }
    message.method = this.hooks.nextMethod?.() ?? 'GET'
    this.messages.push(message)
    const bodiless = message.method === 'HEAD' || message.status === 204 || message.status === 304
    if (message.status === 204 && lengths.length + codings.length > 0) {
      this.note('framing-of-204', message.startLine, 'untidy')
    }
    if (message.status === 101) this.begin(message, 'tunnel', 0)
    else if (bodiless) this.begin(message, 'none', 0)
    else if (chunked) this.begin(message, 'chunked', 0)
    else if (codings.length > 0 || length < 0) this.begin(message, 'close', 0)
    else this.begin(message, length > 0 ? 'length' : 'none', length)
  }

  private isChunked(message: Message, fields: string[], hasLength: boolean): boolean {
    const all = fields.join(',')
    const codings = all.split(',').map((coding) => coding.replace(/^[ \t]+|[ \t]+$/g, ''))
    const chunkedOnes = codings.filter((coding) => /^chunked$/i.test(coding)).length
    const chunked = /^chunked$/i.test(codings.at(-1) ?? '')
    if (fields.length > 1) this.note('several-transfer-encodings', all)
    if (chunkedOnes > 1) this.note('chunked-twice', all)
    if (codings.some((coding) => !token.test(coding))) this.note('transfer-encoding', JSON.stringify(all))
    if (!chunked && this.kind === 'request') this.note('transfer-encoding-not-chunked', all)
    if (hasLength) this.note('content-length-and-transfer-encoding', all)
    if (message.version === '1.0') this.note('transfer-encoding-in-1.0', all)
    return chunked
  }

  private checkHost(message: Message): void {
    const hosts = values(message, 'host')
    if (hosts.length > 1) this.note('several-hosts', hosts.join(' | '))
    if (hosts.length === 0 && message.version === '1.1') this.note('no-host', message.startLine)
    for (const host of hosts) {
      if (/[\x00-\x20\x7f]/.test(host)) this.note('control-in-host', JSON.stringify(host))
      else if (/[/\\@#?,"<>^`{|}]/.test(host)) this.note('delimiter-in-host', host, 'untidy')
    }
  }

  private begin(message: Message, framing: Framing, length: number): void {
    message.framing = framing
    this.left = length
    if (framing === 'chunked') this.state = 'size'
    else if (framing === 'length') this.state = 'length'
    else if (framing === 'close') this.state = 'close'
    this.hooks.onHead?.(message)
    if (framing === 'none') this.finish()
    else if (framing === 'tunnel') {
      this.finish()
      this.state = 'tunnel'
    }
  }

  private take(count: number): void {
    const message = this.current!
    if (message.bodyBytes < keptBodyBytes) {
      const kept = this.pending.subarray(0, Math.min(count, keptBodyBytes - message.bodyBytes))
      message.body = Buffer.concat([message.body, kept])
    }
    message.bodyBytes += count
    this.pending = this.pending.subarray(count)
  }

  private readCounted(): boolean {
    if (this.pending.length === 0) return false
    const count = Math.min(this.left, this.pending.length)
    this.take(count)
    this.left -= count
    if (this.left > 0) return false
    if (this.state === 'length') this.finish()
    else this.state = 'border'
    return true
  }

  private readChunkSize(): boolean {
    const text = this.line('chunk-line')
    if (text === null) return false
    const parts = /^([0-9A-Fa-f]+)(.*)$/s.exec(text)
    const [, digits = '', rest = ''] = parts ?? []
    if (!parts || (rest !== '' && !/^[ \t]*;/.test(rest)))
      return this.lose('chunk-size', JSON.stringify(text))
    const size = digits.replace(/^0+(?=.)/, '')
    if (size.length > 13) return this.lose('chunk-size-range', text)
    if (rest !== '') {
      this.current!.chunkExtensions += 1
      this.note('chunk-extension', text, 'untidy')
    }
    this.left = Number.parseInt(size, 16)
    this.state = this.left === 0 ? 'trailers' : 'data'
    return true
  }

  private readChunkBorder(): boolean {
    if (this.pending.length < 2) return false
    if (this.pending[0] !== 13 || this.pending[1] !== 10) {
      return this.lose('chunk-border', JSON.stringify(this.pending.toString('latin1', 0, 4)))
    }
    this.pending = this.pending.subarray(2)
    this.state = 'size'
    return true
  }

  private finish(): void {
    const message = this.current!
    message.complete = true
    this.current = null
    this.state = 'start'
    this.hooks.onComplete?.(message)
  }
}

function values(message: Message, lower: string): string[] {
  return message.fields.filter((field) => field.lower === lower).map((field) => field.value)
}

/** All values of a field in order, joined with `, `; undefined when it is absent. */
export function fieldValue(message: Message, name: string): string | undefined {
  const found = values(message, name.toLowerCase())
  return found.length > 0 ? found.join(', ') : undefined
}
