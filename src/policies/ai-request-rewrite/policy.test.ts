import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Call } from '../kit/index.ts'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const config = {
  prompt: 'In French.',
  provider: 'openai',
  auth: { header: { Authorization: 'Bearer gateway' }, query: { k: 'v' } },
  options: { model: 'm' },
} as const

async function send(
  answer: { status?: number; body?: unknown } | Error,
  body = 'Hello, ü',
  more: object = {},
) {
  const asked: Call[] = []
  const run = await runPolicy(policy, {
    config: { ...config, ...more },
    request: {
      method: 'POST',
      body,
      headers: { cookie: 'c=1', authorization: 'Bearer client' },
    },
    service(call: Call) {
      asked.push(call)
      if (answer instanceof Error) throw answer
      const { status = 200, body: said } = answer
      return { status, body: typeof said === 'string' ? said : JSON.stringify(said) }
    },
  })
  return { run, asked }
}
const says = (content: unknown) => ({ body: { choices: [{ message: { role: 'assistant', content } }] } })

test('what the model says takes the place of the body, and the client stays at home', async () => {
  const { run, asked } = await send(says('Bonjour é'))
  assert.equal(Buffer.from(run.upstream!.body, 'latin1').toString(), 'Bonjour é')
  const [{ url, headers, body }] = asked as [Call]
  assert.equal(url, 'https://api.openai.com/v1/chat/completions?k=v')
  assert.deepEqual(headers, { authorization: 'Bearer gateway', 'content-type': 'application/json' })
  assert.deepEqual(JSON.parse(String(body)), {
    messages: [
      { role: 'system', content: 'In French.' },
      { role: 'user', content: 'Hello, ü' },
    ],
    stream: false,
    model: 'm',
  })
})

suite('the upstream gets nothing', () => {
  for (const [name, answer, status, body] of [
    ['without a body', says('x'), 400, ''],
    ['of a body that is too large', says('x'), 413, 'x'.repeat(101)],
    ['when the service refuses', { status: 401, body: {} }, 500, 'x'],
    ['when it does not answer', new Error('gone'), 500, 'x'],
    ['when it answers with no JSON', { body: 'x' }, 500, 'x'],
    ['when it answers with no text', says(5), 500, 'x'],
    ['when it answers with a list', { body: [] }, 500, 'x'],
    ['when it has no choices', { body: { choices: [] } }, 500, 'x'],
  ] as const) {
    test(name, async () => {
      const { run, asked } = await send(answer, body, { max_req_body_size: 100 })
      assert.equal(run.answer.status, status)
      assert.equal(run.upstream, undefined)
      assert.equal(asked.length, status === 500 ? 1 : 0)
    })
  }
})

suite('configurations that are refused', () => {
  for (const [wrong, finding] of [
    [{ provider: 'openai', auth: {} }, /prompt/],
    [{ ...config, provider: 'nobody' }, /provider/],
    [{ ...config, auth: { gcp: {} } }, /auth/],
    [
      { ...config, provider: 'openai-compatible' },
      /override\.endpoint is required for openai-compatible provider/,
    ],
    [{ ...config, override: { endpoint: 'ftp://a' } }, /endpoint/],
    [{ ...config, timeout: 60_001 }, /timeout/],
    [{ ...config, max_req_body_size: 0 }, /max_req_body_size/],
    [{ ...config, ssl_verify: 1 }, /ssl_verify/],
  ] as const) {
    test(JSON.stringify(wrong), () =>
      assert.throws(() => bindPolicy(policy, { config: wrong as object }), finding),
    )
  }
})
