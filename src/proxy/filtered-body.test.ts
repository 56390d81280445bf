import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { BodyFilter } from './exchange.ts'
import { FilteredBody } from './filtered-body.ts'

function bodyThrough(...filters: BodyFilter[]) {
  const events: string[] = []
  const body = new FilteredBody(
    filters.map((filter, index) => ({ policy: `p${index}`, filter })),
    {
      piece: (bytes) => events.push(bytes.toString()),
      idle: () => events.push('(idle)'),
      end: () => events.push('(end)'),
      failed: (policy, error) => events.push(`(${policy}: ${(error as Error).message})`),
    },
  )
  return { body, events }
}

const upper: BodyFilter = { write: (piece) => Buffer.from(piece.toString().toUpperCase()) }
const late: BodyFilter = {
  async write(piece) {
    await turn()
    return Buffer.from(`<${piece}>`)
  },
}
const counting = (): BodyFilter => {
  let pieces = 0
  return {
    write() {
      pieces++
      return undefined
    },
    end: () => Buffer.from(String(pieces)),
  }
}

suite('a body that is filtered', () => {
  test('goes through at once where every filter answers at once', () => {
    const { body, events } = bodyThrough(upper, { write: (piece) => piece, end: () => Buffer.from('.') })
    body.write(Buffer.from('a'))
    body.write(Buffer.from('b'))
    assert.equal(body.isBusy, false)
    body.end()
    assert.deepEqual(events, ['A', 'B', '.', '(end)'])
  })

  test('keeps its order while a filter takes its time, and says when it has caught up', async () => {
    const { body, events } = bodyThrough(late, upper)
    body.write(Buffer.from('a'))
    body.write(Buffer.from('b'))
    assert.equal(body.isBusy, true)
    while (body.isBusy) await turn()
    body.write(Buffer.from('c'))
    body.end()
    while (!events.includes('(end)')) await turn()
    assert.deepEqual(events, ['<A>', '<B>', '(idle)', '<C>', '(end)'])
  })

  test('what a filter has left at the end passes the filters after it', async () => {
    const { body, events } = bodyThrough(counting(), late)
    body.write(Buffer.from('a'))
    body.write(Buffer.from('b'))
    body.end()
    while (!events.includes('(end)')) await turn()
    assert.deepEqual(events, ['<2>', '(end)'])
  })

  test('stops with the filter that breaks, and names its policy', async () => {
    const sync = bodyThrough(upper, {
      write() {
        throw new Error('broken')
      },
    })
    sync.body.write(Buffer.from('a'))
    sync.body.write(Buffer.from('b'))
    sync.body.end()
    assert.deepEqual(sync.events, ['(p1: broken)'])

    const async = bodyThrough(late, { write: async () => Promise.reject(new Error('late')) })
    async.body.write(Buffer.from('a'))
    async.body.end()
    while (async.events.length === 0) await turn()
    await turn()
    assert.deepEqual(async.events, ['(p1: late)'])
  })

  test('says nothing more after it was cancelled', async () => {
    const { body, events } = bodyThrough(late)
    body.write(Buffer.from('a'))
    body.end()
    body.cancel()
    for (let i = 0; i < 5; i++) await turn()
    assert.deepEqual(events, [])
  })
})
