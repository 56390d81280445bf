import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const everything = {
  builtInProtections: ['sql' as const, 'xss' as const],
  protectPathAndQuery: true,
  protectHeaders: true,
  protectBody: true,
  rejectRequests: true,
}

suite('attempts', () => {
  const { run } = bindPolicy(policy, { config: everything })
  const attempts = [
    { target: "/orders?id=1'%20OR%20'1'='1" },
    { target: '/orders?id=1%20UNION+SELECT%20password' },
    { target: '/orders?id=1;drop%20table%20users' },
    { target: '/<script>x' },
    { target: '/a?next=javascript:alert(1)' },
    { headers: { 'x-note': '<img src=x onerror=alert(1)>' } },
    { method: 'POST', body: 'name=%3Cscript%3Ealert(1)' },
    { method: 'POST', body: '{"q":"select secret from users"}' },
  ]
  for (const attempt of attempts) {
    test(JSON.stringify(attempt), async () => {
      const { answer, upstream } = await run(attempt)
      assert.deepEqual(
        [answer.status, answer.headers['x-injection-protection'], answer.body, upstream],
        [400, 'blocked', '{"error":"The request has been blocked"}', undefined],
      )
    })
  }

  test('what is none goes on', async () => {
    for (const request of [
      { target: '/orders/select?sort=price&from=2020&q=O%27Brien' },
      { method: 'POST', body: '{"text":"Please update us, and select a seat on the union line; 100% sure"}' },
      { headers: { cookie: 'a=b; c=d', accept: 'text/html;q=0.9' } },
    ]) {
      assert.equal((await run(request)).answer.status, 200, JSON.stringify(request))
    }
  })

  test('a body that is too large to be looked at is refused', async () => {
    const body = 'a'.repeat(1024 * 1024 + 1)
    assert.equal((await run({ method: 'POST', body })).answer.status, 413)
  })
})

test('only what is to be protected is looked at', async () => {
  const off = { ...everything, protectPathAndQuery: false, protectHeaders: false, protectBody: false }
  const attempt = '<script>'
  for (const [field, request] of [
    ['protectPathAndQuery', { target: `/${attempt}` }],
    ['protectHeaders', { headers: { a: attempt } }],
    ['protectBody', { method: 'POST', body: attempt }],
  ] as const) {
    assert.equal((await bindPolicy(policy, { config: off }).run(request)).answer.status, 200, field)
    const on = bindPolicy(policy, { config: { ...off, [field]: true } })
    assert.equal((await on.run(request)).answer.status, 400, field)
  }
})

test('fields can be named', async () => {
  const { run } = bindPolicy(policy, { config: { ...everything, headersToProtect: 'X-One, x-two' } })
  for (const [name, status] of [
    ['x-one', 400],
    ['X-Two', 400],
    ['x-three', 200],
  ] as const) {
    assert.equal((await run({ headers: { [name]: '<script>' } })).answer.status, status)
  }
})

test('patterns of your own are looked for; without rejectRequests an attempt is told only', async () => {
  const config = {
    ...everything,
    builtInProtections: [],
    customProtections: [{ name: 'canary', regex: 'ca+nary' }],
    rejectRequests: false,
  }
  const { run, logged } = bindPolicy(policy, { config })
  const { answer, upstream } = await run({ target: '/CAAANARY' })
  assert.deepEqual([answer.status, answer.headers['x-injection-protection']], [200, undefined])
  assert.ok(upstream)
  assert.match(JSON.stringify(logged), /looks like an injection/)
})

test('what it does not take', () => {
  for (const [change, finding] of [
    [{ builtInProtections: [] }, /one of builtInProtections and customProtections/],
    [{ builtInProtections: ['ldap'] }, /builtInProtections/],
    [{ customProtections: [{ name: 'a', regex: '(' }] }, /customProtections.0.regex: the expression/],
    [{ customProtections: [{ name: '', regex: 'a' }] }, /customProtections/],
    [{ protectPathAndQuery: undefined }, /protectPathAndQuery/],
    [{ protectHeaders: 1 }, /protectHeaders/],
    [{ protectBody: 'no' }, /protectBody/],
    [{ headersToProtect: ['a'] }, /headersToProtect/],
    [{ rejectRequests: null }, /rejectRequests/],
    [{ other: 1 }, /other/],
  ] as const) {
    const config = { ...everything, ...change }
    for (const [name, value] of Object.entries(config)) {
      if (value === undefined) delete (config as Record<string, unknown>)[name]
    }
    assert.throws(() => bindPolicy(policy, { config: config as never }), finding, JSON.stringify(change))
  }
})
