import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Verdict } from '../kit/index.ts'
import { headerBlock } from '../kit/index.ts'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import type { ExitFunction } from './answer.ts'
import policy from './policy.ts'

const refusal: Verdict = {
  status: 401,
  body: { message: 'who are you' },
  headers: headerBlock([
    ['WWW-Authenticate', 'Basic'],
    ['X-A', '1'],
    ['X-A', '2'],
  ]),
}

/** What the functions make of the answer above, and what was logged. */
async function shaped(functions: Record<string, ExitFunction>, answer = refusal) {
  const { run, handlers, logged } = bindPolicy(policy, {
    config: { functions: Object.keys(functions) },
    functions,
  })
  const { exchange } = await run()
  return { made: handlers.shape?.(exchange, answer) as Verdict | undefined, logged }
}

test('a function sees the answer, and what it gives back takes its place', async () => {
  const seen: unknown[] = []
  const { made } = await shaped({
    map: (answer) => {
      seen.push(answer)
      return { ...answer, status: 403, body: { error: 403 } }
    },
  })
  assert.deepEqual(seen, [
    {
      status: 401,
      body: { message: 'who are you' },
      headers: { 'WWW-Authenticate': 'Basic', 'X-A': ['1', '2'] },
    },
  ])
  assert.deepEqual([made?.status, made?.body], [403, { error: 403 }])
  assert.equal(made?.headers?.text, 'WWW-Authenticate: Basic\r\nX-A: 1\r\nX-A: 2\r\n')
})

test('fields stay unless the function says what they are', async () => {
  assert.equal((await shaped({ one: () => ({ status: 405 }) })).made?.headers, refusal.headers)
  const { made } = await shaped({ one: () => ({ status: 405, headers: { 'X-B': 7 } }) })
  assert.equal(made?.headers?.text, 'X-B: 7\r\n')
  assert.equal(made?.body, undefined, 'the page for that status')
})

test('Content-Type among the fields is that of the body', async () => {
  const { made } = await shaped({
    one: () => ({ status: 400, body: '<a/>', headers: { 'content-type': 'application/xml' } }),
  })
  assert.deepEqual([made?.contentType, made?.headers?.text], ['application/xml', ''])
})

test('the next function gets what the one before made, in whatever way that one fails', async () => {
  const fails = () => {
    throw new Error('no luck')
  }
  const { made, logged } = await shaped({
    one: ({ status }) => ({ status: status + 1 }),
    fails,
    number: (() => 7) as never,
    late: (async () => ({ status: 200 })) as never,
    status: () => ({ status: 99 }),
    field: () => ({ status: 400, headers: { 'X-A': 'a\r\nb: c' } }),
    framing: () => ({ status: 400, headers: { 'Content-Length': 1 } }),
    two: ({ status }) => ({ status: status + 1 }),
    nothing: () => undefined,
  })
  assert.equal(made?.status, 403)
  assert.equal(logged.length, 6)
})

test('what a function does to what it was shown changes nothing', async () => {
  const { made } = await shaped({
    one: (answer) => {
      ;(answer.body as Record<string, unknown>).message = 'changed'
      answer.headers['X-B'] = 'b'
    },
  })
  assert.equal(made, undefined)
  assert.deepEqual(refusal.body, { message: 'who are you' })
})

test('answers of upstreams are not touched', async () => {
  const { answer } = await runPolicy(policy, {
    config: { functions: ['one'] },
    functions: { one: (() => ({ status: 400 })) satisfies ExitFunction },
    response: { status: 404, body: 'theirs' },
  })
  assert.deepEqual([answer.status, answer.body], [404, 'theirs'])
})

suite('what does not fit is refused', () => {
  for (const config of [{}, { functions: 'a.ts' }, { functions: [1] }, { functions: [''] }]) {
    test(JSON.stringify(config), () => assert.throws(() => bindPolicy(policy, { config: config as never })))
  }
})
