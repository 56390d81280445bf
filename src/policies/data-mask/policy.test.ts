import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, type FakeRequest, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const card = '(\\d+)-\\d+-\\d+-(\\d+)'
const number = '1234-5678-5678-1234'
const maskedNumber = '1234-****-****-1234'

/** What is left of a request for those who write about it. */
async function told(type: string, body_format: string | undefined, sent: FakeRequest, config: object = {}) {
  const name = (text: string) => (body_format === 'json' ? `$..${text}` : text)
  const where = { type, ...(body_format && { body_format }) }
  const request = [
    { ...where, name: name('password'), action: 'remove' },
    { ...where, name: name('token'), action: 'replace', value: '*****' },
    { ...where, name: name('card'), action: 'regex', regex: card, value: '$1-****-****-$2' },
  ]
  const { exchange, upstream } = await runPolicy(policy, {
    config: { request, ...config } as never,
    request: sent,
  })
  return { ...exchange.request, exchange, upstream }
}

test('parameters of the query', async () => {
  const query = `password=a&token=b&card=${number}&other=%7e&p%61ssword=c`
  const { exchange } = await told('query', undefined, { target: `/a?${query}` })
  const left = `token=*****&card=${maskedNumber}&other=%7e`
  assert.deepEqual([exchange.request.query, exchange.request.target], [left, `/a?${left}`])
})

test('fields, in every line', async () => {
  const headers = [
    ['Password', 'a'],
    ['token', 'b'],
    ['card', number],
    ['Card', number],
  ] as const
  const { exchange } = await told('header', undefined, { headers })
  const fields: string[] = []
  exchange.request.headers.forEach((name, value) => {
    fields.push(`${name.toLowerCase()}: ${value}`)
  })
  assert.deepEqual(
    fields.filter((line) => /^(password|token|card)/.test(line)),
    ['token: *****', `card: ${maskedNumber}`, `card: ${maskedNumber}`],
  )
})

test('a form', async () => {
  const body = `password=a&token=b&card=${number}`
  const { exchange, upstream } = await told('body', 'urlencoded', { method: 'POST', body })
  assert.equal(exchange.request.concealedBody, `token=*****&card=${maskedNumber}`)
  assert.equal(upstream?.body, body)
})

test('JSON, wherever a path leads', async () => {
  const body = JSON.stringify({ password: 1, users: [{ token: 1, card: number }, { card: 5 }], ü: 1 })
  const { exchange, upstream } = await told('body', 'json', { method: 'POST', body })
  const left = Buffer.from(exchange.request.concealedBody!, 'latin1').toString()
  assert.deepEqual(JSON.parse(left), { users: [{ token: '*****', card: maskedNumber }, { card: 5 }], ü: 1 })
  assert.equal(upstream?.body, Buffer.from(body).toString('latin1'))
})

test('members of lists', async () => {
  const request = [{ type: 'body', body_format: 'json', name: '$.a[0,2]', action: 'remove' }]
  const config = { request } as never
  const { exchange } = await runPolicy(policy, { config, request: { method: 'POST', body: '{"a":[1,2,3]}' } })
  assert.equal(exchange.request.concealedBody, '{"a":[2]}')
})

suite('what cannot be masked is not told', () => {
  test('no JSON', async () => {
    const { exchange } = await told('body', 'json', { method: 'POST', body: '{"password":"a"' })
    assert.equal(exchange.request.concealedBody, '')
  })
  test('too many bytes', async () => {
    const body = 'password=a'
    const { exchange } = await told('body', 'urlencoded', { method: 'POST', body }, { max_body_size: 5 })
    assert.equal(exchange.request.concealedBody, '')
  })
  test('too many parameters', async () => {
    const body = 'a=1&b=2&password=a'
    const { exchange } = await told('body', 'urlencoded', { method: 'POST', body }, { max_req_post_args: 2 })
    assert.equal(exchange.request.concealedBody, 'a=1&b=2')
  })
})

suite('the configuration', () => {
  const rule = { type: 'query', name: 'a', action: 'remove' }
  const refused: [object, RegExp][] = [
    [{ request: [{ ...rule, type: 'cookie' }] }, /type/],
    [{ request: [{ ...rule, type: 'body' }] }, /body_format/],
    [{ request: [{ ...rule, action: 'replace' }] }, /value/],
    [{ request: [{ ...rule, action: 'regex', value: '' }] }, /regex/],
    [{ request: [{ ...rule, action: 'regex', regex: '(', value: '' }] }, /expression/],
    [{ request: [{ type: 'body', body_format: 'json', name: '$.a[', action: 'remove' }] }, /path/],
    [{ request: [{ ...rule, type: 'header', name: 'a b' }] }, /a b|header/],
    [{ request: [{ ...rule, type: 'header', action: 'replace', value: 'a\r\nb' }] }, /value/],
    [{ max_body_size: 0 }, /max_body_size/],
    [{ max_req_post_args: -1 }, /max_req_post_args/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () =>
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding),
    )
  }
})
