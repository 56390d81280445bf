import assert from 'node:assert/strict'
import { test } from 'node:test'
import { definePolicy, headerBlock, Type } from './index.ts'
import { bindPolicy, runPolicy } from './testing.ts'

const everyPhase = definePolicy({
  name: 'every-phase',
  summary: 'Touches everything once.',
  stage: 'transform',
  priority: 0,
  config: Type.Object(
    { stopAt: Type.Enum(['request', 'requestBody', 'never'], { default: 'never' }) },
    { additionalProperties: false },
  ),
  create({ stopAt }, host) {
    const seen = host.metrics.counter('seen_total', 'Phases seen.', ['phase'])
    const slots = new Map(
      ['request', 'send', 'requestBody', 'respond', 'observe'].map((phase) => [phase, seen.slot([phase])]),
    )
    const count = (phase: string) => seen.add(slots.get(phase)!, 1)
    const verdict = { status: 418, body: { stopped: stopAt }, headers: headerBlock([['X-Stop', stopAt]]) }
    return {
      async request({ request }) {
        count('request')
        request.headers.set('X-Request', 'r')
        return stopAt === 'request' ? verdict : undefined
      },
      send({ request }) {
        count('send')
        request.headers.remove('x-secret')
      },
      requestBody(_exchange, chunk) {
        count('requestBody')
        assert.equal(chunk.toString(), 'body')
        return stopAt === 'requestBody' ? verdict : undefined
      },
      respond({ answer }) {
        count('respond')
        answer.set('X-Respond', 1)
        answer.remove('x-internal')
      },
      observe({ response, outcome }) {
        count('observe')
        host.lines({ type: 'stdout' }).write(`${response.status} ${outcome}`)
      },
    }
  },
})
const request = { method: 'POST', body: 'body', headers: { 'X-Secret': 's' } }

test('a request runs through every phase to the upstream and back', async () => {
  const bound = bindPolicy(everyPhase)
  const run = await bound.run(request, { status: 201, headers: { 'X-Internal': 'i', A: 'b' }, body: 'made' })
  assert.deepEqual(run.upstream, {
    method: 'POST',
    host: 'api.example',
    target: '/',
    headers: { 'x-request': 'r' },
    body: 'body',
  })
  assert.deepEqual(run.answer, { status: 201, headers: { a: 'b', 'x-respond': '1' }, body: 'made' })
  assert.deepEqual(bound.lines, ['201 complete'])
  assert.equal(bound.counters().seen_total, 5)
})

test('a verdict ends the request, and the phases of the answer still run', async () => {
  const early = await runPolicy(everyPhase, { config: { stopAt: 'request' }, request })
  assert.equal(early.upstream, undefined)
  assert.deepEqual(early.answer, {
    status: 418,
    headers: { 'x-stop': 'request', 'x-respond': '1' },
    body: '{"stopped":"request"}\n',
  })
  assert.equal(early.counters.seen_total, 3)
  const late = await runPolicy(everyPhase, { config: { stopAt: 'requestBody' }, request })
  assert.equal(late.verdict?.status, 418)
  assert.equal(late.counters.seen_total, 5)
})

test('a configuration that does not fit is refused with what is wrong', () => {
  assert.throws(
    () => bindPolicy(everyPhase, { config: { stopAt: 'noon' as never } }),
    /config.stopAt: must be one of/,
  )
  assert.throws(
    () => bindPolicy(everyPhase, { config: { other: 1 } as never }),
    /there is no field other here/,
  )
})

test('a field that would break the message throws, as in the engine', async () => {
  const careless = definePolicy({
    ...everyPhase,
    create: () => ({ request: ({ request }) => request.headers.set('X-Name', 'a\r\nb') }),
  })
  await assert.rejects(runPolicy(careless, {}), { code: 'invalid_header' })
})
