import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const shop = 'https://shop.example'
const preflight = (origin: string, method = 'GET', fields = '') => ({
  method: 'OPTIONS',
  headers: {
    origin,
    'access-control-request-method': method,
    ...(fields !== '' && { 'access-control-request-headers': fields }),
  },
})

async function told(config: unknown, request: object, response: object = {}) {
  const { answer, upstream } = await bindPolicy(policy, { config: config as never }).run(request, response)
  const found = Object.entries(answer.headers).filter(([name]) => /^(access-control-|vary$)/.test(name))
  return { status: answer.status, fields: Object.fromEntries(found), isForwarded: upstream !== undefined }
}

suite('a public resource', () => {
  test('allows any origin, and what its preflight asks for', async () => {
    assert.deepEqual(await told({}, preflight('https://a.example', 'PATCH', 'X-One, x-two')), {
      status: 200,
      fields: {
        'access-control-allow-origin': '*',
        'access-control-allow-methods': 'PATCH',
        'access-control-allow-headers': 'X-One, x-two',
      },
      isForwarded: false,
    })
    const { fields, isForwarded } = await told({}, { headers: { origin: 'https://a.example' } })
    assert.deepEqual([fields, isForwarded], [{ 'access-control-allow-origin': '*' }, true])
  })

  test('names the origin where credentials may be sent', async () => {
    const { fields } = await told({ supportCredentials: true }, { headers: { origin: 'https://a.example' } })
    assert.deepEqual(fields, {
      'access-control-allow-origin': 'https://a.example',
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
    })
  })

  test('adds nothing without an origin, and leaves other requests with OPTIONS alone', async () => {
    assert.deepEqual((await told({}, {})).fields, {})
    assert.equal((await told({}, { method: 'OPTIONS' })).isForwarded, true)
  })
})

suite('groups of origins', () => {
  const one = {
    origins: [shop, 'https://*.shop.example'],
    allowedMethods: [{ methodName: 'get' }, { methodName: 'DELETE', isAllowed: false }],
    methods: ['PUT'],
    headers: ['X-One'],
    exposedHeaders: ['X-Total'],
  }
  const all = { origins: ['*'], methods: ['POST'], headers: ['*'], accessControlMaxAge: 5 }
  const config = { publicResource: false, originGroups: [all, one] }

  test('the group that names an origin comes before one for all', async () => {
    const { fields } = await told(config, preflight(shop, 'PUT', 'x-one'))
    assert.deepEqual(fields, {
      'access-control-allow-origin': shop,
      'access-control-allow-methods': 'GET, PUT',
      'access-control-allow-headers': 'X-One',
      'access-control-max-age': '30',
      vary: 'Origin',
    })
    const others = await told(config, preflight('https://else.example', 'POST', 'anything'))
    assert.equal(others.fields['access-control-allow-origin'], '*')
    assert.equal(others.fields['access-control-max-age'], '5')
  })

  test('what is not allowed gets 200 without a field, and never reaches the upstream', async () => {
    for (const request of [
      preflight(shop, 'DELETE'),
      preflight(shop, 'POST'),
      preflight(shop, 'GET', 'x-two'),
    ]) {
      assert.deepEqual(await told(config, request), { status: 200, fields: {}, isForwarded: false })
    }
    const alone = { publicResource: false, originGroups: [one] }
    for (const origin of [
      'https://else.example',
      'https://a.b/.shop.example',
      'https://shop.example.evil',
      'null',
    ]) {
      assert.deepEqual(await told(alone, preflight(origin)), { status: 200, fields: {}, isForwarded: false })
    }
    assert.equal((await told(alone, preflight('https://a.b.shop.example'))).fields.vary, 'Origin')
  })

  test('a request goes on whatever its origin is, and its answer says what the group says', async () => {
    const { fields } = await told(config, { headers: { origin: shop } })
    assert.deepEqual(fields, {
      'access-control-allow-origin': shop,
      'access-control-expose-headers': 'X-Total',
      vary: 'Origin',
    })
    const refused = await told(
      { publicResource: false, originGroups: [one] },
      { headers: { origin: 'https://else.example' } },
      { headers: { 'access-control-allow-origin': '*', 'access-control-allow-credentials': 'true' } },
    )
    assert.deepEqual([refused.fields, refused.isForwarded], [{}, true])
  })
})

test('what it does not take', () => {
  const group = { origins: [shop] }
  for (const [config, finding] of [
    [{ publicResource: 'yes' }, /publicResource/],
    [{ supportCredentials: 1 }, /supportCredentials/],
    [{ publicResource: false }, /originGroups: without any/],
    [{ originGroups: [{}] }, /origins/],
    [{ originGroups: [{ origins: [] }] }, /origins/],
    [{ originGroups: [{ ...group, accessControlMaxAge: -1 }] }, /accessControlMaxAge/],
    [{ originGroups: [{ ...group, allowedMethods: ['GET'] }] }, /allowedMethods/],
    [{ originGroups: [{ ...group, methods: ['a\nb'] }] }, /methods.0: cannot stand in a field/],
    [{ originGroups: [{ ...group, headers: [''] }] }, /headers/],
    [{ originGroups: [{ ...group, exposedHeaders: ['ü'] }] }, /exposedHeaders.0: cannot stand/],
    [{ originGroup: [] }, /originGroup/],
  ] as const) {
    assert.throws(() => bindPolicy(policy, { config: config as never }), finding, JSON.stringify(config))
  }
})

test('an origin that could not stand in a field is nobody', async () => {
  const { answer } = await runPolicy(policy, { request: { headers: { origin: 'https://\u00e4' } } })
  assert.equal(answer.headers['access-control-allow-origin'], undefined)
})
