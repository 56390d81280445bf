/** One TCP connection to a server under test: writes exactly the bytes of its steps and reads the answers strictly. */
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import tls from 'node:tls'
import { type Finding, type Message, MessageReader } from './message-reader.ts'

export type Step =
  | string
  | Buffer
  /** Milliseconds in which nothing is sent. */
  | { wait: number }
  /** Until that many final answers are complete, the server closed, or `within` ms are over. */
  | { answers: number; within?: number }
  | { interim: number; within?: number }
  | { see: string; within?: number }
  /** Until the server closes. */
  | { closed: number }
  | { end: true }
  | { reset: true }
  | { reading: boolean }
  /** Sends `bytes` again and again until `times` are out, the server closed or answered, or `within` ms are over. */
  | { flood: Buffer; times: number; within: number }
  /** One byte every `every` ms. */
  | { drip: string; every: number; within: number }

export interface ConversationOptions {
  host?: string
  port: number
  /** Speak TLS, asking for this name. The certificate is not looked at. */
  tls?: string | undefined
  steps: Step[]
  /** Methods of the requests that are answered, so that HEAD is read right. */
  methods?: string[]
  /** Longest wait for the answers after the last step, in ms. */
  within?: number
  /** Wait for a close that the answer announces, in ms. */
  closeWithin?: number
  /** Wait for unexpected bytes after the last answer, in ms. */
  settle?: number
}

export interface Conversation {
  /** Final answers in order; the last one perhaps unfinished. */
  answers: Message[]
  interim: Message[]
  findings: Finding[]
  tunnel: Buffer
  /** Everything received (the first 4 MiB). */
  received: Buffer
  /** How the server ended the connection; null while it is open. */
  closed: 'fin' | 'reset' | 'refused' | null
  milliseconds: number
}

const keptBytes = 4 << 20

export async function converse(options: ConversationOptions): Promise<Conversation> {
  const {
    host = '127.0.0.1',
    port,
    tls: serverName,
    steps,
    methods = ['GET'],
    within = 1500,
    closeWithin = 900,
    settle = 25,
  } = options
  const started = Date.now()
  const queue = methods.slice()
  const reader = new MessageReader('response', { nextMethod: () => queue.shift() ?? 'GET' })
  const chunks: Buffer[] = []
  let receivedBytes = 0
  let closed: Conversation['closed'] = null
  let connected = false
  let ours = false
  let wake = () => {}

  const plain = net.connect({ host, port, allowHalfOpen: true, noDelay: true })
  const socket: net.Socket =
    serverName === undefined
      ? plain
      : tls.connect({
          socket: plain,
          servername: serverName,
          rejectUnauthorized: false,
          allowHalfOpen: true,
        } as tls.ConnectionOptions)
  socket.on(serverName === undefined ? 'connect' : 'secureConnect', () => {
    connected = true
    wake()
  })
  socket.on('data', (chunk: Buffer) => {
    if (ours) return
    if (receivedBytes < keptBytes) chunks.push(chunk)
    receivedBytes += chunk.length
    reader.push(chunk)
    wake()
  })
  socket.on('end', () => {
    if (ours) return
    closed ??= 'fin'
    reader.end()
    wake()
  })
  socket.on('error', () => {
    if (!ours) closed ??= connected ? 'reset' : 'refused'
    wake()
  })
  socket.on('close', () => wake())

  const until = async (done: () => boolean, milliseconds: number): Promise<void> => {
    const deadline = Date.now() + milliseconds
    while (!done() && Date.now() < deadline) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(50, deadline - Date.now()))
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
  const answered = () => reader.messages.filter((message) => message.complete).length

  await until(() => connected || closed !== null, 2000)
  for (const step of steps) {
    if (socket.destroyed) break
    if (typeof step === 'string' || Buffer.isBuffer(step)) {
      if (socket.writable) socket.write(typeof step === 'string' ? Buffer.from(step, 'latin1') : step)
      await sleep(0)
    } else if ('wait' in step) await sleep(step.wait)
    else if ('answers' in step)
      await until(() => closed !== null || answered() >= step.answers, step.within ?? within)
    else if ('interim' in step) {
      await until(
        () => closed !== null || reader.interim.length >= step.interim || answered() > 0,
        step.within ?? within,
      )
    } else if ('see' in step) {
      await until(
        () => closed !== null || Buffer.concat(chunks).includes(step.see, 0, 'latin1'),
        step.within ?? within,
      )
    } else if ('closed' in step) await until(() => closed !== null, step.closed)
    else if ('end' in step) socket.end()
    else if ('reset' in step) {
      ours = true
      plain.resetAndDestroy()
    } else if ('reading' in step) {
      if (step.reading) socket.resume()
      else socket.pause()
    } else if ('flood' in step) {
      const deadline = Date.now() + step.within
      for (
        let sent = 0;
        sent < step.times && closed === null && Date.now() < deadline && answered() === 0;
        sent++
      ) {
        if (!socket.write(step.flood)) {
          await until(() => socket.writableLength === 0 || closed !== null, deadline - Date.now())
        }
        if (sent % 16 === 0) await sleep(0)
      }
    } else {
      const deadline = Date.now() + step.within
      for (const byte of Buffer.from(step.drip, 'latin1')) {
        if (closed !== null || Date.now() > deadline || answered() > 0) break
        socket.write(Buffer.of(byte))
        await until(() => closed !== null, step.every)
      }
    }
  }

  if (!ours) {
    await until(() => closed !== null || answered() >= methods.length, within)
    const last = reader.messages.at(-1)
    const announced = last?.fields.some(
      (field) => field.lower === 'connection' && /\bclose\b/i.test(field.value),
    )
    const wait = last === undefined || reader.state === 'tunnel' ? 0 : announced ? closeWithin : settle
    await until(() => closed !== null, wait)
  }
  // What happens from here on is our own doing.
  ours = true
  socket.end()
  setTimeout(() => socket.destroy(), 10)
  return {
    answers: reader.messages,
    interim: reader.interim,
    findings: reader.findings,
    tunnel: reader.tunnel,
    received: Buffer.concat(chunks),
    closed,
    milliseconds: Date.now() - started,
  }
}
