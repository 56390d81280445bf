import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { weightOf } from '../kit/compression.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const html = { 'Content-Type': 'text/html; charset=utf-8' }
const gzip = { 'Accept-Encoding': 'gzip' }
const body = 'x'.repeat(100)

async function encoding(config: object, request: object = {}, response: object = {}) {
  const { run } = bindPolicy(policy, { config })
  const { answer } = await run({ headers: gzip, ...request }, { headers: html, body, ...response })
  return answer.headers['content-encoding']
}

test('a compressed answer has other fields', async () => {
  const { run } = bindPolicy(policy, { config: { vary: true } })
  const headers = { ...html, ETag: '"1"', 'Accept-Ranges': 'bytes' }
  const { answer } = await run({ headers: gzip }, { headers, body })
  assert.deepEqual(answer.headers, {
    'content-type': html['Content-Type'],
    vary: 'Accept-Encoding',
    'content-encoding': 'gzip',
    etag: 'W/"1"',
  })
})

test('an answer varies also when this client gets it plain', async () => {
  const { run } = bindPolicy(policy, { config: { vary: true } })
  const { answer } = await run({}, { headers: html, body })
  assert.deepEqual([answer.headers.vary, answer.headers['content-encoding']], ['Accept-Encoding', undefined])
})

suite('what stays as it is', () => {
  const kept: [string, object, object?, object?][] = [
    ['another type', { types: ['text/plain'] }],
    ['no type', {}, {}, { headers: {} }],
    ['a short body', { min_length: 101 }, {}, { headers: { ...html, 'Content-Length': '100' } }],
    ['an encoded body', {}, {}, { headers: { ...html, 'Content-Encoding': 'br' } }],
    ['a part', {}, {}, { status: 206 }],
    ['no-transform', {}, {}, { headers: { ...html, 'Cache-Control': 'public, No-Transform' } }],
    ['a client that does not accept it', {}, { headers: { 'Accept-Encoding': 'gzip;q=0, br' } }],
    ['a HEAD request', {}, { method: 'HEAD' }],
    ['an answer of the gateway', {}, {}, { errorCode: 'x' }],
  ]
  for (const [name, config, request, response] of kept) {
    test(name, async () => assert.notEqual(await encoding(config, request, response), 'gzip'))
  }
})

test('every type, when that is asked for', async () => {
  const response = { headers: { 'Content-Type': 'image/svg+xml' } }
  assert.equal(await encoding({ types: '*' }, {}, response), 'gzip')
})

suite('Accept-Encoding', () => {
  const cases: [string | undefined, number][] = [
    [undefined, 0],
    ['', 0],
    ['gzip', 1],
    ['br, GZIP;q=0.5', 0.5],
    ['*', 1],
    ['*;q=0.2', 0.2],
    ['*, gzip;q=0', 0],
    ['gzip; q=0.000', 0],
    ['gzip;q=0.001', 0.001],
    ['gzip;q=7', 1],
    ['*;q=0', 0],
    ['xgzip', 0],
  ]
  for (const [field, expected] of cases) {
    test(`${field}`, () => assert.equal(weightOf(field, 'gzip'), expected))
  }
})

suite('the configuration', () => {
  const refused: [object, RegExp][] = [
    [{ types: [] }, /types/],
    [{ types: 'text/html' }, /types/],
    [{ min_length: 0 }, /min_length/],
    [{ comp_level: 10 }, /comp_level/],
    [{ http_version: 2 }, /http_version/],
    [{ buffers: { number: 0 } }, /number/],
    [{ buffers: { size: 0 } }, /size/],
    [{ vary: 1 }, /vary/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () =>
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding),
    )
  }
})
