import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Exchange } from './exchange.ts'
import { Lookup, LookupValues } from './lookup.ts'
import { routeCondition } from './route-condition.ts'

/** A request that counts how often its query is read. */
function request(query: string) {
  const seen = { reads: 0 }
  const exchange = {
    request: {
      get query() {
        seen.reads++
        return query
      },
    },
  } as unknown as Exchange
  return { exchange, seen }
}

suite('values of a search', () => {
  test('are read once, however many conditions ask for them, and anew for the next search', () => {
    const values = new LookupValues()
    const lookup = new Lookup()
    const conditions = ['a', 'b', 'c'].map((wanted) =>
      routeCondition({ vars: [['arg_x', '==', wanted]] }, values),
    )
    const results = (exchange: Exchange) => {
      const search = lookup.begin(exchange)
      return conditions.map((condition) => condition!(search))
    }
    const [first, second] = [request('x=b'), request('x=c')]
    assert.deepEqual(results(first.exchange), [false, true, false])
    assert.deepEqual(results(second.exchange), [false, false, true])
    assert.deepEqual([first.seen.reads, second.seen.reads], [1, 1])
    // The same request again may have changed: its body came, or a policy set a field.
    assert.deepEqual(results(first.exchange), [false, true, false])
    assert.equal(first.seen.reads, 2)
  })

  test('stay right for conditions from before a change of the plan', () => {
    const values = new LookupValues()
    const before = routeCondition({ vars: [['arg_x', '==', 'a']] }, values)!
    values.forget()
    const after = routeCondition({ vars: [['arg_x', '==', 'a']] }, values)!
    const lookup = new Lookup()
    for (const [query, expected] of [
      ['x=a', true],
      ['x=b', false],
    ] as const) {
      const search = lookup.begin(request(query).exchange)
      assert.deepEqual([before(search), after(search)], [expected, expected])
    }
  })
})
