import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const second = 1000

function bind(config: object = {}) {
  const bound = bindPolicy(policy, { config: { break_response_code: 503, ...config } as never })
  const send = async (status: number, target = '/') => {
    const { verdict } = await bound.run({ target }, { status })
    return verdict?.status ?? 'passed'
  }
  return { ...bound, send }
}

suite('api-breaker', () => {
  test('breaks after three bad answers for 2 seconds, then after three more for 4', async () => {
    const { send, advance } = bind()
    for (let i = 0; i < 3; i++) assert.equal(await send(500), 'passed')
    assert.equal(await send(200), 503)
    advance(2 * second)
    assert.equal(await send(200), 503)
    advance(second)
    for (let i = 0; i < 3; i++) assert.equal(await send(500), 'passed')
    advance(4 * second)
    assert.equal(await send(200), 503)
    advance(second)
    assert.equal(await send(200), 'passed')
  })

  test('does not break for longer than max_breaker_sec', async () => {
    const { send, advance } = bind({ max_breaker_sec: 3, unhealthy: { failures: 1 } })
    for (let i = 0; i < 6; i++) {
      assert.equal(await send(500), 'passed')
      assert.equal(await send(200), 503)
      advance(4 * second)
    }
  })

  test('good answers make it forget, unless a bad one is among them', async () => {
    const { send } = bind({ unhealthy: { failures: 3 }, healthy: { successes: 2 } })
    await send(500)
    await send(500)
    await send(200)
    await send(500)
    assert.equal(await send(200), 503)
    const other = bind({ healthy: { successes: 2 } })
    for (const status of [500, 500, 200, 200, 500, 500]) assert.equal(await other.send(status), 'passed')
    assert.equal(await other.send(200), 'passed')
  })

  test('statuses that are neither good nor bad change nothing', async () => {
    const { send } = bind({ unhealthy: { http_statuses: [502], failures: 1 } })
    for (const status of [500, 404, 301]) assert.equal(await send(status), 'passed')
    assert.equal(await send(502), 'passed')
    assert.equal(await send(200), 503)
  })

  test('judges each host and path on its own, whatever the query', async () => {
    const { send } = bind({ unhealthy: { failures: 1 } })
    await send(500, '/a?x=1')
    assert.equal(await send(200, '/a?x=2'), 503)
    assert.equal(await send(200, '/b'), 'passed')
  })

  test('its answers carry body and fields, and no fields without a body', async () => {
    const fields = [
      { key: 'Content-Type', value: 'application/json' },
      { key: 'X-From', value: '$remote_addr' },
    ]
    const config = { break_response_headers: fields, unhealthy: { failures: 1 } }
    const full = bind({ ...config, break_response_body: '{"busy":true}' })
    await full.send(500)
    const { answer } = await full.run({})
    assert.equal(answer.body, '{"busy":true}')
    assert.equal(answer.headers['x-from'], '203.0.113.7')
    assert.equal(answer.headers['content-type'], 'application/json')
    const bare = bind(config)
    await bare.send(500)
    assert.equal((await bare.run({})).answer.headers['x-from'], undefined)
  })

  const refused: [object, RegExp][] = [
    [{ break_response_code: 600 }, /break_response_code: must be <= 599/],
    [{ break_response_code: undefined }, /break_response_code/],
    [{ break_response_body: 1 }, /break_response_body/],
    [{ break_response_headers: [{ key: 'a' }] }, /value/],
    [{ break_response_headers: [{ key: '', value: 'a' }] }, /key/],
    [{ break_response_headers: [{ key: 'a b', value: 'a' }] }, /./],
    [{ break_response_headers: [{ key: 'Connection', value: 'a' }] }, /own to write/],
    [{ max_breaker_sec: 2 }, /max_breaker_sec: must be >= 3/],
    [{ unhealthy: { http_statuses: [] } }, /http_statuses/],
    [{ unhealthy: { http_statuses: [404] } }, /http_statuses/],
    [{ unhealthy: { http_statuses: [500, 500] } }, /http_statuses/],
    [{ unhealthy: { failures: 0 } }, /failures: must be >= 1/],
    [{ healthy: { http_statuses: [500] } }, /http_statuses/],
    [{ healthy: { successes: '3' } }, /successes/],
  ]
  for (const [config, finding] of refused) {
    test(`${JSON.stringify(config)} is refused`, () => assert.throws(() => bind(config), finding))
  }
})
