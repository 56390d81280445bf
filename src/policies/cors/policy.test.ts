import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const from = (origin: string) => ({ headers: { origin } })

test('defaults allow every origin without credentials', async () => {
  const { answer, upstream } = await bindPolicy(policy).run()
  assert.deepEqual(answer.headers, {
    'access-control-allow-origin': '*',
    'access-control-allow-methods': '*',
    'access-control-max-age': '5',
    'access-control-allow-headers': '*',
  })
  assert.ok(upstream)
})

test('OPTIONS ends here with an empty 200', async () => {
  const run = await bindPolicy(policy).run({ method: 'OPTIONS' })
  assert.equal(run.answer.status, 200)
  assert.equal(run.answer.body, '')
  assert.equal(run.upstream, undefined)
  assert.equal(run.answer.headers['access-control-allow-origin'], '*')
})

const listed = {
  allow_origins: 'http://sub.domain.com,http://sub2.domain.com',
  allow_methods: 'GET,POST',
  allow_headers: 'headr1,headr2',
  expose_headers: 'ex-headr1,ex-headr2',
  max_age: 50,
  allow_credential: true,
}

test('a listed origin is named back beside the other settings, and Vary grows', async () => {
  const bound = bindPolicy(policy, { config: listed })
  const { answer } = await bound.run(from('http://sub2.domain.com'), { headers: { Vary: 'Via' } })
  assert.deepEqual(answer.headers, {
    vary: 'Via, Origin',
    'access-control-allow-origin': 'http://sub2.domain.com',
    'access-control-allow-methods': 'GET,POST',
    'access-control-max-age': '50',
    'access-control-expose-headers': 'ex-headr1,ex-headr2',
    'access-control-allow-headers': 'headr1,headr2',
    'access-control-allow-credentials': 'true',
  })
})

test('another origin, and one that only looks alike, gets no field but Vary', async () => {
  const bound = bindPolicy(policy, { config: listed })
  for (const request of [
    {},
    from('http://sub3.domain.com'),
    from('http://sub.domain.com.evil.example'),
    from('http://evilsub.domain.com'),
    from('https://sub.domain.com'),
    from('null'),
    from(listed.allow_origins),
  ]) {
    assert.deepEqual((await bound.run(request)).answer.headers, { vary: 'Origin' })
  }
})

test('fields of the upstream are replaced for an allowed origin', async () => {
  const headers = { 'Access-Control-Allow-Origin': 'http://x', 'Access-Control-Max-Age': '10' }
  const { answer } = await bindPolicy(policy).run(from('http://y'), { headers })
  assert.equal(answer.headers['access-control-allow-origin'], '*')
  assert.equal(answer.headers['access-control-max-age'], '5')
})

test('** names back the origin, all methods and the headers that were asked for', async () => {
  const config = { allow_origins: '**', allow_methods: '**', allow_headers: '**', expose_headers: '*' }
  const bound = bindPolicy(policy, { config })
  const { answer } = await bound.run({
    headers: {
      origin: 'https://sub.domain.com',
      'access-control-request-headers': 'req-header1,req-header2',
    },
  })
  assert.deepEqual(answer.headers, {
    vary: 'Origin',
    'access-control-allow-origin': 'https://sub.domain.com',
    'access-control-allow-methods': 'GET,POST,PUT,DELETE,PATCH,HEAD,OPTIONS,CONNECT,TRACE',
    'access-control-max-age': '5',
    'access-control-expose-headers': '*',
    'access-control-allow-headers': 'req-header1,req-header2',
  })
  const plain = (await bound.run()).answer.headers
  assert.equal(plain['access-control-allow-origin'], '*')
  assert.equal(plain['access-control-allow-headers'], undefined)
})

test('with credentials, ** does not trust the origin null', async () => {
  const config = { allow_origins: '**', allow_methods: 'GET', allow_headers: 'a', allow_credential: true }
  const bound = bindPolicy(policy, { config })
  const trusted = (await bound.run(from('http://a.example'))).answer.headers
  assert.equal(trusted['access-control-allow-origin'], 'http://a.example')
  assert.equal(trusted['access-control-allow-credentials'], 'true')
  assert.deepEqual((await bound.run(from('null'))).answer.headers, { vary: 'Origin' })
})

test('expressions replace the list, and the answer varies', async () => {
  const config = { allow_origins_by_regex: ['.*\\.test.com$', '^https://a\\.example$'] }
  const bound = bindPolicy(policy, { config })
  for (const origin of ['http://a.test.com', 'https://a.example']) {
    const { headers } = (await bound.run(from(origin))).answer
    assert.equal(headers['access-control-allow-origin'], origin)
    assert.equal(headers.vary, 'Origin')
  }
  for (const request of [{}, from('http://a.test.com.evil'), from(`http://${'a'.repeat(1100)}.test.com`)]) {
    assert.deepEqual((await bound.run(request)).answer.headers, { vary: 'Origin' })
  }
})

test('lists of the metadata are asked by name, then the own list', async () => {
  const metadata = {
    allow_origins: { one: 'http://one.example,http://uno.example', two: 'http://two.example' },
  }
  const bound = bindPolicy(policy, {
    metadata,
    config: { allow_origins: 'http://own.example', allow_origins_by_metadata: ['one', 'none'] },
  })
  const allowed = async (origin: string) =>
    (await bound.run(from(origin))).answer.headers['access-control-allow-origin']
  assert.equal(await allowed('http://uno.example'), 'http://uno.example')
  assert.equal(await allowed('http://own.example'), 'http://own.example')
  assert.equal(await allowed('http://two.example'), undefined)
  const onlyMetadata = bindPolicy(policy, { metadata, config: { allow_origins_by_metadata: ['two'] } })
  assert.deepEqual((await onlyMetadata.run(from('http://x.example'))).answer.headers, { vary: 'Origin' })
})

test('timing_allow_origins is decided by itself', async () => {
  const config = { allow_origins: 'http://one.domain.com', timing_allow_origins: 'http://another.domain.com' }
  const bound = bindPolicy(policy, { config })
  const timing = (await bound.run(from('http://another.domain.com'))).answer.headers
  assert.deepEqual(timing, { vary: 'Origin', 'timing-allow-origin': 'http://another.domain.com' })
  const access = (await bound.run(from('http://one.domain.com'))).answer.headers
  assert.equal(access['timing-allow-origin'], undefined)
  const byPattern = bindPolicy(policy, { config: { timing_allow_origins_by_regex: ['\\.test\\.com$'] } })
  const { headers } = (await byPattern.run(from('http://a.test.com'))).answer
  assert.equal(headers['timing-allow-origin'], 'http://a.test.com')
  assert.equal(headers.vary, 'Origin')
})

test('settings that contradict each other are findings', () => {
  const credentials = {
    allow_origins: 'http://a',
    allow_methods: 'GET',
    allow_headers: 'a',
    allow_credential: true,
  }
  assert.doesNotThrow(() => bindPolicy(policy, { config: credentials }))
  for (const field of [
    'allow_origins',
    'allow_methods',
    'allow_headers',
    'expose_headers',
    'timing_allow_origins',
  ]) {
    const config = { ...credentials, [field]: '*' }
    assert.throws(() => bindPolicy(policy, { config }), /you can not set '\*' for other option/)
  }
  assert.throws(
    () => bindPolicy(policy, { config: { allow_origins_by_regex: ['('] } }),
    /allow_origins_by_regex: /,
  )
  assert.throws(
    () => bindPolicy(policy, { config: { allow_methods: 'GET\r\nX: y' } }),
    /invalid value for header/,
  )
  assert.throws(
    () => bindPolicy(policy, { config: { allow_origins: 'domain.com' } }),
    /allow_origins: must match/,
  )
})
