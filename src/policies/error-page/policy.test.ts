import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const own = (status: number) => ({ status, errorCode: 'x', body: 'ours' })

test('a page of one’s own for an error of the gateway', async () => {
  const metadata = { enable: true, error_404: { body: 'gone', content_type: 'text/plain' }, error_500: {} }
  const { run } = bindPolicy(policy, { metadata: metadata as never })
  assert.deepEqual((await run({}, own(404))).answer, {
    status: 404,
    headers: { 'content-type': 'text/plain' },
    body: 'gone',
  })
  const { answer } = await run({}, own(500))
  assert.match(answer.body, /<h1>500 Internal Server Error<\/h1>/)
  assert.equal(answer.headers['content-type'], 'text/html')
  assert.equal((await run({}, own(502))).answer.body, 'ours')
})

test('answers of upstreams are not touched', async () => {
  const metadata = { enable: true, error_500: { body: 'page' } } as never
  const { answer } = await runPolicy(policy, { metadata, response: { status: 500, body: 'theirs' } })
  assert.equal(answer.body, 'theirs')
})

test('any status has its page by name, unless the page is empty', async () => {
  const metadata = { enable: true, error_405: { body: 'no' }, error_406: {}, error_503: { body: '' } }
  const { run } = bindPolicy(policy, { metadata: metadata as never })
  assert.equal((await run({}, own(405))).answer.body, 'no')
  assert.equal((await run({}, own(406))).answer.body, 'ours')
  assert.equal((await run({}, own(503))).answer.body, 'ours')
})

test('without metadata, or while it is not enabled, nothing happens', () => {
  assert.deepEqual(bindPolicy(policy).handlers, {})
  assert.deepEqual(bindPolicy(policy, { metadata: { error_404: { body: 'x' } } as never }).handlers, {})
})

suite('the metadata', () => {
  for (const metadata of [
    { enable: 1 },
    { error_404: { body: 1 } },
    { error_404: { content_type: 1 } },
    { error_399: {} },
    { error_505: 'x' },
  ]) {
    test(JSON.stringify(metadata), () =>
      assert.throws(() => bindPolicy(policy, { metadata: metadata as never })),
    )
  }
})
