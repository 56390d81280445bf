/** The same requests as of a raw HTTP/1.1 conversation, over HTTP/2: each on a stream of its own, one after the other. */
import http2 from 'node:http2'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Message, MessageReader } from './message-reader.ts'
import type { Conversation, Step } from './raw-client.ts'

/** Fields that HTTP/2 has no place for: a case about them is one of HTTP/1. */
const aboutConnection = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** The requests that these steps send; null when they are no complete and sound requests, or only HTTP/1 can say them. */
export function requestsIn(steps: readonly Step[]): Message[] | null {
  const reader = new MessageReader('request')
  for (const step of steps) {
    if (typeof step === 'string' || Buffer.isBuffer(step)) {
      if (reader.messages.length > 0 && !reader.messages.at(-1)!.complete) return null
      reader.push(typeof step === 'string' ? Buffer.from(step, 'latin1') : step)
    } else if (!('answers' in step)) return null
  }
  const { messages, findings, state } = reader
  const isSound = findings.length === 0 && state === 'start' && messages.length > 0
  return isSound && messages.every(canBeHttp2) ? messages : null
}

function canBeHttp2(message: Message): boolean {
  const { version, target, method, fields, complete, framing } = message
  if (!complete || version !== '1.1' || method === 'CONNECT') return false
  if (!/^\/[!-~]*$/.test(target)) return false
  const hosts = fields.filter(({ lower }) => lower === 'host')
  if (hosts.length !== 1 || !/^[!-~]+$/.test(hosts[0]!.value)) return false
  const others = fields.filter(({ lower, value }) => !(lower === 'transfer-encoding' && value === 'chunked'))
  if (framing === 'chunked' ? message.chunkExtensions > 0 : others.length < fields.length) return false
  return [...others, ...message.trailers].every(
    ({ lower, value }) => !aboutConnection.has(lower) && !/^[ \t]|[ \t]$/.test(value),
  )
}

interface Options {
  host: string
  port: number
  requests: readonly Message[]
  /** Longest wait for each answer, in ms. */
  within: number
}

/** Fields may come twice that should not; the types do not know of it yet. */
const asSent = { strictSingleValueFields: false } as http2.ClientSessionOptions

/** A stream that is reset counts as a connection that is: what is missing of its answer, the client can tell. */
export async function converseOverHttp2({ host, port, requests, within }: Options): Promise<Conversation> {
  const started = Date.now()
  const conversation: Conversation = {
    answers: [],
    interim: [],
    findings: [],
    tunnel: Buffer.alloc(0),
    received: Buffer.alloc(0),
    closed: null,
    milliseconds: 0,
  }
  const session = http2.connect(`http://${host}:${port}`, asSent)
  session.on('error', () => {
    conversation.closed ??= 'reset'
  })
  for (const request of requests) await ask(session, request, conversation, within)
  session.destroy()
  conversation.milliseconds = Date.now() - started
  return conversation
}

async function ask(
  session: http2.ClientHttp2Session,
  request: Message,
  conversation: Conversation,
  within: number,
): Promise<void> {
  if (session.destroyed) return
  const isEmpty = request.body.length === 0 && request.trailers.length === 0
  const stream = session.request(fieldsOf(request), { endStream: isEmpty, waitForTrailers: true })
  const { promise, resolve } = Promise.withResolvers<void>()
  stream.on('wantTrailers', () => stream.sendTrailers(plain(request.trailers)))
  stream.on('headers', (_fields, _flags, raw) =>
    conversation.interim.push(messageOf(request, raw as string[])),
  )
  let answer: Message | null = null
  stream.on('response', (_fields, _flags, raw) => {
    answer = messageOf(request, raw as string[])
    conversation.answers.push(answer)
  })
  stream.on('trailers', (_fields, _flags, raw) => {
    if (answer !== null) answer.trailers = pairs(raw as string[])
  })
  stream.on('data', (chunk: Buffer) => {
    if (answer === null) return
    answer.body = Buffer.concat([answer.body, chunk])
    answer.bodyBytes += chunk.length
    conversation.received = Buffer.concat([conversation.received, chunk])
  })
  stream.on('end', () => {
    if (answer !== null && stream.rstCode === http2.constants.NGHTTP2_NO_ERROR) answer.complete = true
  })
  stream.on('error', () => {})
  stream.on('close', () => {
    conversation.closed = stream.rstCode === http2.constants.NGHTTP2_NO_ERROR ? 'fin' : 'reset'
    if (conversation.closed === 'reset' && answer !== null) answer.complete = false
    resolve()
  })
  if (!isEmpty) stream.end(request.body)
  await Promise.race([promise, sleep(within)])
}

function fieldsOf(request: Message): http2.OutgoingHttpHeaders {
  const fields = noFields()
  fields[':method'] = request.method
  fields[':path'] = request.target
  for (const { lower, value } of request.fields) {
    if (lower === 'host') fields[':authority'] = value
    else if (lower !== 'transfer-encoding') put(fields, lower, value)
  }
  return fields
}

/** A field may have the name of anything that objects have by nature. */
const noFields = (): Record<string, string | string[]> => Object.create(null)

function plain(trailers: Message['trailers']): Record<string, string | string[]> {
  const fields = noFields()
  for (const { lower, value } of trailers) put(fields, lower, value)
  return fields
}

function put(fields: Record<string, string | string[]>, name: string, value: string): void {
  const before = fields[name]
  fields[name] = before === undefined ? value : [before, value].flat()
}

function pairs(raw: readonly string[]): Message['fields'] {
  const fields: Message['fields'] = []
  for (let i = 0; i < raw.length; i += 2)
    fields.push({ name: raw[i]!, lower: raw[i]!.toLowerCase(), value: raw[i + 1]! })
  return fields
}

function messageOf(request: Message, raw: readonly string[]): Message {
  const all = pairs(raw)
  const status = Number(all.find(({ name }) => name === ':status')?.value)
  const fields = all.filter(({ name }) => !name.startsWith(':'))
  return {
    startLine: `HTTP/2 ${status}`,
    method: request.method,
    target: request.target,
    version: '2',
    status,
    reason: '',
    fields,
    trailers: [],
    body: Buffer.alloc(0),
    bodyBytes: 0,
    framing: fields.some(({ lower }) => lower === 'content-length') ? 'length' : 'chunked',
    chunkExtensions: 0,
    complete: false,
  }
}
