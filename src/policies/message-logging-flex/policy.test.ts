import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const item = (itemData: object) => ({ itemName: 'one', itemData }) as never

async function lines(items: object[], request = {}, response = {}, config = {}) {
  const bound = bindPolicy(policy, { config: { loggingConfiguration: items.map(item), ...config } })
  const { exchange } = await bound.run(request, response)
  return bound.lines.map((line) =>
    (typeof line === 'string' ? line : (line as { line: string }).line).replaceAll(exchange.id, 'ID'),
  )
}

test('a message of the first section is about the request, of the second about the answer', async () => {
  assert.deepEqual(
    await lines(
      [
        { message: '#[attributes.method ++ attributes.requestPath]', firstSection: true },
        { message: '#[toString(attributes.statusCode)]', secondSection: true },
        { message: 'both', firstSection: true, secondSection: true },
        { message: 'never' },
      ],
      { target: '/a' },
      { status: 201 },
    ),
    [
      '[req: ID] [accessLog] GET/a',
      '[req: ID] [accessLog] both',
      '[req: ID] [accessLog] 201',
      '[req: ID] [accessLog] both',
    ],
  )
})

test('a condition, a category and a level decide about a line', async () => {
  const message = { message: 'm', firstSection: true }
  assert.deepEqual(
    await lines([
      { ...message, conditional: "#[attributes.method == 'GET']", category: 'audit\n' },
      { ...message, conditional: "#[attributes.method == 'PUT']" },
      { ...message, conditional: false },
      { ...message, conditional: '#[attributes.method]' },
      { ...message, level: 'DEBUG' },
    ]),
    ['[req: ID] [audit\\n] m'],
  )
  const debug = await lines([{ ...message, level: 'DEBUG' }], {}, {}, { minimumLevel: 'DEBUG' })
  assert.equal(debug.length, 1)
})

test('a client cannot forge a line', async () => {
  const [line] = await lines([{ message: "#[attributes.queryParams['a']]", firstSection: true }], {
    target: '/?a=x%0a[req:%20other]%0d%00%e2%80%a8',
  })
  assert.equal(line, '[req: ID] [accessLog] x\\n[req: other]\\r\\u0000\\u2028')
})

test('bodies are read only for messages that speak of them', async () => {
  const about = [{ message: '#[payload.name]', firstSection: true }]
  const headers = { 'content-type': 'application/json' }
  assert.deepEqual(await lines(about, { method: 'POST', headers, body: '{"name":"tea"}' }), [
    '[req: ID] [accessLog] tea',
  ])
  const [large] = await lines(about, { method: 'POST', headers, body: ' '.repeat(1024 * 1024 + 1) })
  assert.equal(large, '[req: ID] [accessLog] ')
})

test('vars tell who and when', async () => {
  const [line] = await lines([
    {
      message: "#[vars.reqId ++ ' ' ++ vars.requestDisposition ++ ' ' ++ vars.apiName]",
      secondSection: true,
    },
  ])
  assert.match(line ?? '', /^\[req: ID\] \[accessLog\] ID Processed /)
})

test('what it does not take', () => {
  const wrong = (itemData: object) => ({ loggingConfiguration: [item(itemData)] })
  for (const [config, finding] of [
    [{ loggingConfiguration: [] }, /loggingConfiguration/],
    [wrong({}), /message/],
    [wrong({ message: '#[nothing]' }), /itemData.message/],
    [wrong({ message: 'a', conditional: '#[x]' }), /itemData.conditional/],
    [wrong({ message: '#[attributes.statusCode]', firstSection: true }), /itemData.message/],
    [wrong({ message: 'a', category: 1 }), /category/],
    [wrong({ message: 'a', level: 'TRACE' }), /level/],
    [wrong({ message: 'a', firstSection: 'yes' }), /firstSection/],
    [wrong({ message: 'a', secondSection: 1 }), /secondSection/],
    [{ ...wrong({ message: 'a' }), sinks: [] }, /sinks/],
    [{ ...wrong({ message: 'a' }), minimumLevel: 'x' }, /minimumLevel/],
  ] as const) {
    assert.throws(() => bindPolicy(policy, { config: config as never }), finding, JSON.stringify(config))
  }
})
