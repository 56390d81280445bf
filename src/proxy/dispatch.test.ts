import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { type Conduct, dispatch } from './dispatch.ts'
import type { Engine } from './engine.ts'
import type { Exchange, PhaseResult, Stage } from './exchange.ts'
import { Chain, type ChainEntry, emptyChain } from './pipeline.ts'
import type { Binding } from './runtime.ts'

function entry(stage: Stage, request: () => PhaseResult, options: Partial<ChainEntry> = {}): ChainEntry {
  return {
    policy: stage,
    stage,
    priority: 0,
    handlers: { request },
    unavailable: false,
    confidential: false,
    yieldsToRoute: false,
    filter: null,
    heldBody: 0,
    shadow: false,
    continueOnError: false,
    errorResponse: undefined,
    ...options,
  }
}

/** Everything that dispatch decided, in order. */
function conduct() {
  const decisions: string[] = []
  const self = {
    decisions,
    chain: emptyChain,
    exchange: { consumer: null } as unknown as Exchange,
    isOpen: true,
    answer: ({ status }: { status: number }, policy: string) =>
      void decisions.push(`${policy} answers ${status}`),
    fail: ({ code }: { code: string }) => void decisions.push(`fails with ${code}`),
    forward: () => void decisions.push('forwards'),
  }
  return self satisfies Conduct
}

const engine = { policyFailed() {}, shadowVerdict() {} } as unknown as Engine
const bound = (...entries: ChainEntry[]) => {
  const chain = new Chain([], entries)
  return { chain: () => chain } as unknown as Binding
}

suite('the passes of a request', () => {
  test('identify and transform come before authorize and limit, by priority within a pass', () => {
    const seen: string[] = []
    const note = (name: string) => () => void seen.push(name)
    const to = conduct()
    const binding = bound(
      entry('limit', note('limit 9'), { priority: 9 }),
      entry('transform', note('transform 1'), { priority: 1 }),
      entry('authorize', note('authorize 10'), { priority: 10 }),
      entry('identify', note('identify 2'), { priority: 2 }),
    )
    dispatch(to, binding, engine)
    assert.deepEqual(seen, ['identify 2', 'transform 1', 'authorize 10', 'limit 9'])
    assert.deepEqual(to.decisions, ['forwards'])
  })

  test('the first verdict ends the request', () => {
    const to = conduct()
    const never = entry('limit', () => assert.fail('it ran'))
    dispatch(
      to,
      bound(
        entry('identify', () => ({ status: 401 })),
        never,
      ),
      engine,
    )
    assert.deepEqual(to.decisions, ['identify answers 401'])
  })

  test('a policy that throws denies, unless it is told to continue', () => {
    const fails = () => {
      throw new Error('broken')
    }
    const denied = conduct()
    dispatch(denied, bound(entry('identify', fails)), engine)
    assert.deepEqual(denied.decisions, ['fails with policy_failed'])
    const passed = conduct()
    dispatch(passed, bound(entry('identify', fails, { continueOnError: true })), engine)
    assert.deepEqual(passed.decisions, ['forwards'])
  })

  test('the error of a policy that holds secrets is told without its message', () => {
    const told: unknown[] = []
    const listening = {
      ...engine,
      policyFailed: (_: string, error: unknown) => told.push(error),
    } as unknown as Engine
    const fails = () => {
      throw new TypeError('several lines\n    at the value of the secret')
    }
    dispatch(conduct(), bound(entry('identify', fails)), listening)
    dispatch(conduct(), bound(entry('identify', fails, { confidential: true })), listening)
    const [open, withheld] = told as Error[]
    assert.match(open!.stack!, /the value of the secret/)
    assert.doesNotMatch(withheld!.stack!, /the value of the secret/)
    assert.match(withheld!.stack!, /^TypeError: its message is withheld.*\n {4}at \S+fails /)
  })

  test('a rejected promise denies too', async () => {
    const to = conduct()
    dispatch(to, bound(entry('limit', async () => Promise.reject(new Error('broken')))), engine)
    await new Promise(setImmediate)
    assert.deepEqual(to.decisions, ['fails with policy_failed'])
  })

  test('a shadow verdict lets the request pass', () => {
    const to = conduct()
    dispatch(to, bound(entry('limit', () => ({ status: 429 }), { shadow: true })), engine)
    assert.deepEqual(to.decisions, ['forwards'])
  })

  test('error_response takes the place of the body of a rejection', () => {
    const bodies: unknown[] = []
    const to = { ...conduct(), answer: ({ body }: { body?: unknown }) => void bodies.push(body) }
    dispatch(
      to,
      bound(entry('limit', () => ({ status: 429, body: 'own' }), { errorResponse: 'instead' })),
      engine,
    )
    dispatch(
      to,
      bound(entry('limit', () => ({ status: 200, body: 'own' }), { errorResponse: 'instead' })),
      engine,
    )
    assert.deepEqual(bodies, ['instead', 'own'])
  })

  test('a late decision is not applied to the next exchange, nor to one that is over', async () => {
    const next = conduct()
    dispatch(next, bound(entry('identify', async () => undefined)), engine)
    next.exchange = { consumer: null } as unknown as Exchange
    const gone = conduct()
    dispatch(gone, bound(entry('limit', async () => ({ status: 403 }))), engine)
    gone.isOpen = false
    await new Promise(setImmediate)
    assert.deepEqual([next.decisions, gone.decisions], [[], []])
  })
})
