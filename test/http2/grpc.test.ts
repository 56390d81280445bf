/** Calls of gRPC through the gateway, with the client and the server of @grpc/grpc-js, over HTTP/2 on both sides. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
  type requestCallback,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { type RunningEngine, startEngine } from '../harness/engine.ts'

const text = (value: string) => Buffer.from(value)
const read = (bytes: Buffer) => bytes.toString()
const codec = {
  requestSerialize: text,
  requestDeserialize: read,
  responseSerialize: text,
  responseDeserialize: read,
}
const method = (path: string, requestStream: boolean, responseStream: boolean) => ({
  path,
  requestStream,
  responseStream,
  ...codec,
})
const paths = { unary: '/t.T/Unary', up: '/t.T/Up', down: '/t.T/Down', both: '/t.T/Both' }
const service: ServiceDefinition = {
  unary: method(paths.unary, false, false),
  up: method(paths.up, true, false),
  down: method(paths.down, false, true),
  both: method(paths.both, true, true),
}

const server = new Server({ 'grpc.max_receive_message_length': -1 })
let cancelled = 0
/** Whoever waits for the next call that is cancelled. */
let onCancelled = () => {}
let engine: RunningEngine
let client: Client
let rejected: { code: number } | null = null

before(async () => {
  server.addService(service, {
    unary(call: never, callback: (error: unknown, value?: string, trailers?: Metadata) => void) {
      const { request, metadata } = call as { request: string; metadata: Metadata }
      const trailers = new Metadata()
      for (const key of ['x-text', 'x-bytes-bin']) {
        const [value] = metadata.get(key)
        if (value !== undefined) trailers.set(key, value)
      }
      if (request === 'hang') {
        ;(call as { on(name: string, then: () => void): void }).on('cancelled', () => {
          cancelled++
          onCancelled()
        })
      } else if (request === 'fail') {
        const details = new Metadata()
        details.set('grpc-status-details-bin', Buffer.from([1, 2, 3]))
        callback({ code: status.FAILED_PRECONDITION, details: 'not ä € 50%', metadata: details })
      } else callback(null, request, trailers)
    },
    up(call: never, callback: (error: null, value: string) => void) {
      const stream = call as AsyncIterable<string> & { on(name: string, then: (m: string) => void): void }
      const got: string[] = []
      stream.on('data', (message) => got.push(message))
      stream.on('end', () => callback(null, got.join()))
    },
    down(call: never) {
      const stream = call as { request: string; write(message: string): void; end(): void }
      for (let i = 0; i < Number(stream.request); i++) stream.write(`m${i}`)
      stream.end()
    },
    both(call: never) {
      const stream = call as {
        on(name: string, then: (m: string) => void): void
        write(message: string): void
        end(): void
      }
      stream.on('data', (message) => stream.write(`re ${message}`))
      stream.on('end', () => stream.end())
    },
  } as never)
  const upstreamPort = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    ),
  )
  engine = await startEngine({
    upstreamPort,
    upstream: 'scheme: grpc',
    policies: [
      {
        request() {
          return rejected === null ? undefined : { status: rejected.code, body: { message: 'Not now: ä' } }
        },
      },
    ],
  })
  client = new Client(`127.0.0.1:${engine.port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
  })
})

after(() => {
  client.close()
  server.forceShutdown()
  engine.close()
})

interface Answer {
  value?: string | undefined
  error: ServiceError | null
  trailers: Metadata
}

function unary(message: string, metadata = new Metadata(), options = {}): Promise<Answer> {
  return new Promise((resolve) => {
    let answer: Omit<Answer, 'trailers'>
    const callback: requestCallback<string> = (error, value) => {
      answer = { error, value }
    }
    const call = client.makeUnaryRequest(paths.unary, text, read, message, metadata, options, callback)
    call.on('status', ({ metadata: trailers }) => setImmediate(() => resolve({ ...answer, trailers })))
  })
}

async function collect(stream: ClientReadableStream<string>): Promise<string[]> {
  const got: string[] = []
  for await (const message of stream) got.push(message as string)
  return got
}

test('a unary call, small and larger than any window', async () => {
  for (const message of ['hello', 'x'.repeat(5_000_000)]) {
    const { error, value } = await unary(message)
    assert.equal(error, null)
    assert.ok(value === message)
  }
})

test('metadata passes both ways, in text and in bytes', async () => {
  const metadata = new Metadata()
  metadata.set('x-text', 'a, b')
  metadata.set('x-bytes-bin', Buffer.from([0, 255, 10]))
  const { trailers } = await unary('x', metadata)
  assert.deepEqual(trailers.get('x-text'), ['a, b'])
  assert.deepEqual(trailers.get('x-bytes-bin'), [Buffer.from([0, 255, 10])])
})

test('a status passes with its message and its details', async () => {
  const { error } = await unary('fail')
  assert.equal(error?.code, status.FAILED_PRECONDITION)
  assert.equal(error?.details, 'not ä € 50%')
  assert.deepEqual(error?.metadata.get('grpc-status-details-bin'), [Buffer.from([1, 2, 3])])
})

test('an unknown method is unimplemented, as the upstream says', async () => {
  const error = await new Promise<ServiceError | null>((resolve) =>
    client.makeUnaryRequest('/t.T/Nothing', text, read, 'x', (failure) => resolve(failure)),
  )
  assert.equal(error?.code, status.UNIMPLEMENTED)
})

test('messages stream from the client, from the server, and in both directions', async () => {
  const sum = await new Promise<string | undefined>((resolve, reject) => {
    const up = client.makeClientStreamRequest(
      paths.up,
      text,
      read,
      (error: ServiceError | null, value?: string) => (error === null ? resolve(value) : reject(error)),
    )
    for (const message of ['a', 'b', 'c']) up.write(message)
    up.end()
  })
  assert.equal(sum, 'a,b,c')
  const down = await collect(client.makeServerStreamRequest(paths.down, text, read, '100'))
  assert.equal(down.length, 100)
  assert.equal(down.at(-1), 'm99')

  const both = client.makeBidiStreamRequest(paths.both, text, read)
  // Each message waits for the answer to the one before: nothing may be held back.
  for (const message of ['one', 'two', 'three']) {
    both.write(message)
    const answer = await new Promise<string>((resolve) => both.once('data', resolve))
    assert.equal(answer, `re ${message}`)
  }
  both.end()
  await new Promise((resolve) => both.once('end', resolve).resume())
})

test('a call that its client cancels is cancelled at the upstream', async () => {
  const before = cancelled
  const seen = new Promise<void>((resolve) => {
    onCancelled = resolve
  })
  const call = client.makeUnaryRequest(paths.unary, text, read, 'hang', () => {})
  // Once it is there.
  await unary('x')
  call.cancel()
  await seen
  assert.equal(cancelled, before + 1)
})

test('a call whose time is over ends on both sides', async () => {
  const seen = new Promise<void>((resolve) => {
    onCancelled = resolve
  })
  const { error } = await unary('hang', new Metadata(), { deadline: Date.now() + 300 })
  assert.equal(error?.code, status.DEADLINE_EXCEEDED)
  await seen
})

for (const [httpStatus, code] of [
  [401, status.UNAUTHENTICATED],
  [403, status.PERMISSION_DENIED],
  [429, status.RESOURCE_EXHAUSTED],
  [503, status.UNAVAILABLE],
] as const) {
  test(`what a policy refuses with ${httpStatus} is ${status[code]} with its message`, async (t) => {
    rejected = { code: httpStatus }
    t.after(() => {
      rejected = null
    })
    const { error } = await unary('x')
    assert.equal(error?.code, code)
    assert.equal(error?.details, 'Not now: ä')
  })
}

test('many calls at once share connections', async () => {
  const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => unary(String(i))))
  assert.deepEqual(
    answers.map(({ value }) => value),
    Array.from({ length: 300 }, (_, i) => String(i)),
  )
})
