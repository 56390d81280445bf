import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exchange, PolicyHandlers } from './exchange.ts'
import { filtered } from './filter.ts'

const exchange = () => ({ filterDecisions: null }) as unknown as Exchange

test('a policy whose filter does not hold runs in no phase', () => {
  const never = () => assert.fail('it ran')
  const all: Required<PolicyHandlers> = {
    request: never,
    serve: never,
    send: never,
    requestBody: never,
    receive: never,
    shape: never,
    respond: never,
    responseBody: never,
    observe: never,
  }
  const guarded = filtered(all, () => false)
  const one = exchange()
  for (const phase of Object.keys(all) as (keyof PolicyHandlers)[]) {
    assert.equal(guarded[phase]!(one, Buffer.alloc(0) as never), undefined)
  }
})

test('a policy whose filter holds runs as ever, with what it answers', () => {
  const seen: unknown[] = []
  const guarded = filtered(
    {
      request(x) {
        seen.push(x)
        return { status: 401 }
      },
      requestBody(_, chunk) {
        seen.push(chunk)
        return { status: 413 }
      },
    },
    () => true,
  )
  const one = exchange()
  const chunk = Buffer.from('x')
  assert.deepEqual(guarded.request!(one), { status: 401 })
  assert.deepEqual(guarded.requestBody!(one, chunk), { status: 413 })
  assert.deepEqual(seen, [one, chunk])
})

test('phases that a policy has not are not made up', () => {
  assert.deepEqual(Object.keys(filtered({ observe() {} }, () => true)), ['observe'])
})

test('it is decided once per exchange, in the first phase', () => {
  const world = { holds: true, asked: 0 }
  const ran: string[] = []
  const guarded = filtered(
    { request: () => void ran.push('request'), observe: () => ran.push('observe') },
    () => {
      world.asked++
      return world.holds
    },
  )
  const one = exchange()
  guarded.request!(one)
  world.holds = false
  guarded.observe!(one)
  assert.deepEqual([ran, world.asked], [['request', 'observe'], 1])

  const other = exchange()
  guarded.request!(other)
  world.holds = true
  guarded.observe!(other)
  assert.deepEqual([ran.length, world.asked], [2, 2])
})

test('policies of one exchange decide for themselves, also with the same words', () => {
  const ran: string[] = []
  const make = (name: string, holds: boolean) => filtered({ observe: () => ran.push(name) }, () => holds)
  const one = exchange()
  for (const handlers of [make('a', true), make('b', false), make('c', true)]) handlers.observe!(one)
  assert.deepEqual(ran, ['a', 'c'])
})
