import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const config = { username: 'ada', password: 'p:w' }
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

test('the pair passes, with what the client sent', async () => {
  const { upstream } = await bindPolicy(policy, { config }).run({
    headers: { authorization: basic('ada:p:w') },
  })
  assert.equal(upstream?.headers.authorization, basic('ada:p:w'))
})

test('everything else gets one answer, and the upstream nothing', async () => {
  const { run } = bindPolicy(policy, { config })
  for (const field of [
    undefined,
    '',
    'Basic',
    'Basic !!!',
    'Bearer abc',
    basic('ada'),
    basic('ada:'),
    basic('ada:p'),
    basic('ada:p:w '),
    basic('Ada:p:w'),
    basic('ada\0p:w'),
    basic(':'),
    `${basic('ada:p:w')}, ${basic('ada:p:w')}`,
  ]) {
    const { answer, upstream, verdict } = await run(
      field === undefined ? {} : { headers: { authorization: field } },
    )
    assert.equal(upstream, undefined, String(field))
    assert.equal(answer.status, 401)
    assert.equal(answer.headers['www-authenticate'], 'Basic realm="mule-realm"')
    assert.equal(verdict?.contentType, 'application/json; charset=UTF-8')
    assert.match(answer.body, /^\{"error":"Registered authentication is set to HTTP basic authentication/)
  }
})

test('what it does not take', () => {
  for (const wrong of [{}, { username: 'a' }, { username: '', password: 'a' }, { ...config, other: 1 }]) {
    assert.throws(() => bindPolicy(policy, { config: wrong as never }), JSON.stringify(wrong))
  }
})
