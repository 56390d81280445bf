import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const config = {
  prepend: [{ role: 'system' as const, content: 'Be brief.' }],
  append: [{ role: 'user' as const, content: 'In French.' }],
}
const send = async (body: string, target = '/v1/chat/completions') => {
  const run = await runPolicy(policy, { config, request: { method: 'POST', target, body } })
  return { run, sent: run.upstream && JSON.parse(Buffer.from(run.upstream.body, 'latin1').toString()) }
}

test('messages stand before and behind those of the client', async () => {
  const { sent } = await send('{"model":"m","messages":[{"role":"user","content":"Héllo"}]}')
  assert.deepEqual(sent, {
    model: 'm',
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Héllo' },
      { role: 'user', content: 'In French.' },
    ],
  })
})

test('what the system says goes where the format of Anthropic has it', async () => {
  const { sent } = await send('{"system":"Own.","messages":[{"role":"user","content":"Hi"}]}', '/v1/messages')
  assert.equal(sent.system, 'Be brief.\nOwn.')
  assert.deepEqual(sent.messages.at(-1), { role: 'user', content: 'In French.' })
  assert.equal(sent.messages.length, 2)
})

test('and that of responses', async () => {
  const { sent } = await send('{"input":"Hi"}', '/v1/responses')
  assert.equal(sent.instructions, 'Be brief.')
  assert.equal(sent.input, 'Hi\nIn French.')
  const { sent: listed } = await send('{"input":[{"role":"user","content":"Hi"}]}', '/v1/responses')
  assert.deepEqual(listed.input, [
    { role: 'user', content: 'Hi' },
    { type: 'message', role: 'user', content: 'In French.' },
  ])
})

test('and that of Bedrock', async () => {
  const { sent } = await send('{"messages":[],"system":[{"text":"A."}]}', '/model/m/converse')
  assert.deepEqual(sent.system, [{ text: 'Be brief.' }, { text: 'A.' }])
  assert.deepEqual(sent.messages, [{ role: 'user', content: [{ text: 'In French.' }] }])
})

test('what is no conversation stays as it is', async () => {
  const body = { prompt: 'a cat' }
  assert.deepEqual((await send(JSON.stringify(body), '/v1/images')).sent, body)
})

suite('bodies that are refused with 400', () => {
  for (const body of ['', 'x', '[]', '"a"', 'null', '{"a":']) {
    test(body || 'none', async () => {
      const { run } = await send(body)
      assert.equal(run.answer.status, 400)
      assert.match(run.answer.body, /^\{"message":"could not (get body|parse JSON)/)
      assert.equal(run.upstream, undefined)
    })
  }
})

suite('configurations that are refused', () => {
  for (const [wrong, finding] of [
    [{}, /one of 'prepend' and 'append' is needed/],
    [{ prepend: [{ role: 'robot', content: 'x' }] }, /prepend\.0\.role/],
    [{ append: [{ role: 'user', content: '' }] }, /append\.0\.content/],
    [{ prepend: [], max_req_body_size: 0 }, /max_req_body_size/],
  ] as const) {
    test(JSON.stringify(wrong), () =>
      assert.throws(() => bindPolicy(policy, { config: wrong as object }), finding),
    )
  }
})
