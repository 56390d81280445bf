import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('names and expressions, from requests and from answers', async () => {
  const { run } = bindPolicy(policy, {
    config: { inboundHeaders: ['X-Debug', 'x-int.*'], outboundHeaders: ['server', 'X-(Powered|Made)-By'] },
  })
  const { upstream, answer } = await run(
    { headers: { 'x-debug': '1', 'X-Internal': '2', 'x-integer': '3', 'not-x-internal': '4' } },
    { headers: { Server: 'a', 'X-Powered-By': 'b', 'x-made-by': 'c', 'x-kept': 'd' } },
  )
  const {
    'x-debug': debug,
    'x-internal': internal,
    'x-integer': integer,
    'not-x-internal': kept,
  } = upstream!.headers
  assert.deepEqual([debug, internal, integer, kept], [undefined, undefined, undefined, '4'])
  assert.equal(answer.headers['x-kept'], 'd')
  for (const name of ['server', 'x-powered-by', 'x-made-by'])
    assert.equal(answer.headers[name], undefined, name)
})

test('what a message needs stays, also when an expression finds it', async () => {
  const { run } = bindPolicy(policy, {
    config: { inboundHeaders: ['accept', '.*'], outboundHeaders: ['.*'] },
  })
  const { upstream, answer } = await run(
    { method: 'POST', body: 'a', headers: { accept: '*/*', 'content-type': 'text/plain', 'x-a': '1' } },
    { headers: { 'content-type': 'text/html', date: 'today', 'x-b': '1' } },
  )
  assert.equal(upstream?.headers.accept, '*/*')
  assert.equal(upstream?.headers['content-type'], 'text/plain')
  assert.equal(upstream?.headers['x-a'], undefined)
  assert.equal(answer.headers['content-type'], 'text/html')
  assert.equal(answer.headers['x-b'], undefined)
})

test('what it does not take', () => {
  for (const config of [
    { inboundHeaders: ['('] },
    { outboundHeaders: [''] },
    { inboundHeaders: 'a' },
    { other: 1 },
  ]) {
    assert.throws(() => bindPolicy(policy, { config: config as never }), JSON.stringify(config))
  }
})
