import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const body = '\0\0\0\0\x01a'
const type = { 'content-type': 'application/grpc-web' }
const post = (more: object = {}) => ({ method: 'POST', headers: type, body, ...more })

suite('configuration', () => {
  for (const [name, wrong, finding] of [
    ['max_req_body_size', 0, /config\.max_req_body_size/],
    ['cors_allow_headers', 1, /config\.cors_allow_headers: must be a string/],
  ] as const) {
    test(`${name} cannot be ${wrong}`, () => {
      assert.throws(() => bindPolicy(policy, { config: { [name]: wrong } }), finding)
    })
  }
})

suite('the path that the upstream gets', () => {
  for (const [matchedUri, target, path] of [
    ['/grpc/web/*', '/grpc/web/a.S/M', '/a.S/M'],
    ['/web*', '/web/a.S/M', '/a.S/M'],
    ['/*', '/a.S/M', '/a.S/M'],
    ['/a.S/M', '/a.S/M', '/a.S/M'],
    ['/a.S/M*', '/a.S/M', '/a.S/M'],
  ] as const) {
    test(`${target} on a route for ${matchedUri} is ${path}`, async () => {
      const { upstream } = await runPolicy(policy, { binding: { matchedUri }, request: post({ target }) })
      assert.equal(upstream?.target, path)
      assert.equal(upstream.headers['content-type'], 'application/grpc')
    })
  }
})

suite('the last message', () => {
  const trailersOf = async (response: object) => {
    const { answer } = await runPolicy(policy, { request: post(), response: { body, ...response } })
    return answer.body.slice(body.length)
  }

  test('holds all trailer fields', async () => {
    const text = 'grpc-status:5\r\ngrpc-message:no%20tea\r\nx-more:1\r\n'
    const trailers = { 'x-more': '1', 'grpc-status': '5', 'grpc-message': 'no%20tea' }
    const last = await trailersOf({ trailers })
    assert.equal(last.slice(-text.length), text)
  })

  test('says what is missing', async () => {
    assert.match(await trailersOf({}), /grpc-status:2\r\ngrpc-message:upstream grpc status not received\r\n$/)
  })

  test('is not there where the head has the status', async () => {
    assert.equal(await trailersOf({ headers: { 'grpc-status': '0' } }), '')
  })
})

test('parameters of the type are no matter', async () => {
  const headers = { 'content-type': 'Application/GRPC-Web+proto; charset=x' }
  const { upstream, answer } = await runPolicy(policy, { request: post({ headers }) })
  assert.ok(upstream)
  assert.equal(answer.headers['content-type'], headers['content-type'])
})
