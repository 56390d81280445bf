import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SessionPool } from './session-pool.ts'
import type { UpstreamSession } from './upstream-session.ts'

test('a pool that carries nothing is ended whole, and one with a request under way is left', () => {
  const pool = new SessionPool()
  const ended: string[] = []
  const add = (name: string, purpose: string, isIdle: boolean) => {
    const session = { purpose, isIdle, discard: () => end() } as UpstreamSession
    const end = () => {
      ended.push(name)
      pool.forget(session)
    }
    pool.add(session)
  }
  add('idle beside a busy one', 'a', true)
  add('busy', 'a', false)
  add('first', 'b', true)
  add('second', 'b', true)
  const sizes: Record<string, number> = { a: 2, b: 2 }
  const drop = () => pool.dropIdlePool((purpose) => sizes[purpose]!)
  assert.equal(drop(), true)
  assert.deepEqual(ended, ['first', 'second'])
  assert.equal(drop(), false)
})
