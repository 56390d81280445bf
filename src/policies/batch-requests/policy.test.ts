import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { SubrequestAnswer, SubrequestFailure, SubrequestHead } from '../kit/index.ts'
import { bindPolicy, type FakeRequest, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

interface Sent extends SubrequestHead {}

/** Sends a batch to a gateway that answers as told, and tells what it was asked. */
async function batch(
  body: object | string,
  request: FakeRequest = {},
  metadata?: { max_body_size?: number; max_pipeline_items?: number },
  answer: (head: SubrequestHead) => Partial<SubrequestAnswer> | SubrequestFailure = () => ({}),
) {
  const sent: Sent[] = []
  const bound = bindPolicy(policy, {
    ...(metadata && { metadata: metadata as never }),
    subrequest(head) {
      sent.push(head)
      const answered = answer(head)
      if (typeof answered === 'string') return answered
      return { status: 200, reason: 'OK', fields: [], body: Buffer.alloc(0), isComplete: true, ...answered }
    },
  })
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const { status, body: told } = await bound.publicApi({ method: 'POST', body: text, ...request })
  return { status, told: typeof told === 'string' ? JSON.parse(told) : told, sent }
}

const one = (request: object) => ({ pipeline: [{ path: '/', ...request }] })

suite('what is sent', () => {
  test('a path is enough', async () => {
    const { status, sent } = await batch({ pipeline: [{ path: '/a' }] })
    const [head] = sent
    assert.equal(status, 200)
    assert.deepEqual(
      [head?.method, head?.target, head?.version, head?.lines, head?.body.length, head?.timeout],
      ['GET', '/a', '1.1', '', 0, 30_000],
    )
  })

  test('fields of a request go before those of all, and these before those of the client', async () => {
    const headers = {
      X: 'client',
      'x-client': '1',
      'Content-Type': 'application/json',
      'Accept-Encoding': 'gzip',
    }
    const { sent } = await batch(
      {
        headers: { x: 'all', 'X-All': 2 },
        pipeline: [{ path: '/', headers: { 'x-OWN': ['a', 'b'], X: 'own' } }, { path: '/' }],
      },
      { headers },
    )
    assert.deepEqual(
      sent.map(({ lines }) => lines.split('\r\n').slice(0, -1)),
      [
        ['x-OWN: a', 'x-OWN: b', 'X: own', 'X-All: 2', 'x-client: 1'],
        ['x: all', 'X-All: 2', 'x-client: 1'],
      ],
    )
  })

  test('nothing frames a message but what the gateway writes', async () => {
    const headers = {
      'Content-Length': '5',
      'Transfer-Encoding': 'chunked',
      Connection: 'x',
      Expect: '100-continue',
      Upgrade: 'h2c',
    }
    const { sent } = await batch({ headers, pipeline: [{ path: '/', headers, method: 'POST', body: 'é' }] })
    assert.deepEqual([sent[0]?.lines, sent[0]?.body.length], ['', 2])
  })

  test('queries of all and of one', async () => {
    const query = { a: 'b c', flag: true, off: false, n: [1, 2] }
    const { sent } = await batch({ query, pipeline: [{ path: '/' }, { path: '/x?y=1', query: { a: '&' } }] })
    assert.deepEqual(
      sent.map(({ target }) => target),
      ['/?a=b%20c&flag&n=1&n=2', '/x?y=1&a=%26&flag&n=1&n=2'],
    )
  })

  test('an older version, a method, and at most five minutes', async () => {
    const { sent } = await batch({ timeout: 1e9, ...one({ version: 1, method: 'DELETE' }) })
    assert.deepEqual([sent[0]?.version, sent[0]?.method, sent[0]?.timeout], ['1.0', 'DELETE', 300_000])
  })
})

suite('what is told', () => {
  test('status, reason, fields and body, in order', async () => {
    const { told } = await batch(
      { pipeline: [{ path: '/1' }, { path: '/2', method: 'HEAD' }] },
      {},
      undefined,
      ({ target }) => ({
        status: 201,
        reason: 'Made',
        fields: [
          ['Set-Cookie', 'a'],
          ['__proto__', 'x'],
          ['Set-Cookie', 'b'],
        ],
        body: Buffer.from(target),
      }),
    )
    const headers = JSON.parse('{ "Set-Cookie": ["a", "b"], "__proto__": "x" }')
    assert.deepEqual(told, [
      { status: 201, reason: 'Made', headers, body: '/1' },
      { status: 201, reason: 'Made', headers },
    ])
  })

  test('after one that took too long nothing more is sent', async () => {
    const { told, sent } = await batch(
      { pipeline: [{ path: '/1' }, { path: '/2' }, { path: '/3' }] },
      {},
      undefined,
      ({ target }) => (target === '/2' ? 'timeout' : {}),
    )
    const late = { status: 504, reason: 'upstream timeout' }
    assert.deepEqual(told.slice(1), [late, late])
    assert.equal(sent.length, 2)
  })

  test('a body that breaks off is none', async () => {
    const { told } = await batch(one({}), {}, undefined, () => ({
      isComplete: false,
      body: Buffer.from('ha'),
    }))
    assert.deepEqual(told, [{ status: 200, reason: 'OK', headers: {}, read_body_err: 'closed' }])
  })

  test('all bodies together are bounded', async () => {
    const body = Buffer.alloc(10)
    const { sent } = await batch({ pipeline: [{ path: '/1' }, { path: '/2' }] }, {}, undefined, () => ({
      body,
    }))
    assert.equal(sent[0]!.largestBody - sent[1]!.largestBody, 10)
    const { told } = await batch(one({}), {}, undefined, () => 'too_large')
    assert.deepEqual(told, [{ status: 502, reason: 'response too large' }])
  })
})

suite('what is refused, before anything is sent', () => {
  const refused: [name: string, body: object | string, finding: RegExp][] = [
    ['no body', '', /no request body/],
    ['no JSON', '{"pipeline"', /^invalid request body: \{"pipeline", err: Expected/],
    ['no requests', {}, /object matches none of the required: \["pipeline"\]/],
    [
      'none',
      { pipeline: [] },
      /property "pipeline" validation failed: expect array to have at least 1 items/,
    ],
    ['no path', { pipeline: [{}] }, /property "path" is required/],
    ['an unknown member', one({ url: '/' }), /additional properties forbidden, found url/],
    ['a timeout that is a text', { timeout: '1', ...one({}) }, /wrong type: expected integer, got string/],
    ['no time', { timeout: 0, ...one({}) }, /property "timeout" validation failed/],
    ['a version', one({ version: 2 }), /property "version" validation failed/],
    ['a method', one({ method: 'GOT' }), /property "method" validation failed/],
    ['a body that is no text', one({ body: {} }), /property "body" validation failed: wrong type/],
    ['headers that are none', one({ headers: 'a: b' }), /property "headers" validation failed: wrong type/],
    [
      'a second request in a value',
      one({ headers: { x: 'a\r\n\r\nGET /admin HTTP/1.1\r\n' } }),
      /invalid value for header x/,
    ],
    ['a field in a name', one({ headers: { 'a: b\r\nc': 'd' } }), /invalid header name/],
    ['a request in a path', one({ path: '/ HTTP/1.1\r\nX: y\r\n\r\nGET /' }), /a character that no path has/],
    ['a map as a value', one({ headers: { x: {} } }), /has to be a text/],
    ['nothing as a value', one({ query: { x: null } }), /has to be a text/],
  ]
  for (const [name, body, finding] of refused) {
    test(name, async () => {
      const { status, told, sent } = await batch(body)
      assert.equal(status, 400)
      assert.match(told.error_msg, finding)
      assert.equal(sent.length, 0)
    })
  }

  test('a batch in a batch', async () => {
    const { status, sent } = await batch(one({}), { isSubrequest: true })
    assert.deepEqual([status, sent.length], [400, 0])
  })

  test('another method', async () => {
    assert.equal((await batch(one({}), { method: 'PUT' })).status, 404)
  })

  test('too many, and too much', async () => {
    const many = await batch({ pipeline: [{ path: '/' }, { path: '/' }] }, {}, { max_pipeline_items: 1 })
    assert.match(many.told.error_msg, /too many pipeline requests, 2 exceeds the maximum of 1/)
    const large = await batch('12345', {}, { max_body_size: 4 })
    assert.deepEqual(
      [large.status, large.told.error_msg, large.sent.length],
      [413, 'request size 5 is greater than the maximum size 4 allowed', 0],
    )
  })

  for (const wrong of [{ max_body_size: 0 }, { max_pipeline_items: 1.5 }]) {
    test(`metadata ${JSON.stringify(wrong)}`, () => {
      assert.throws(() => bindPolicy(policy, { metadata: wrong as never }), /max_/)
    })
  }
})

test('bound to a route it does nothing', async () => {
  assert.ok((await runPolicy(policy, { request: { method: 'POST', body: '{}' } })).upstream)
})
