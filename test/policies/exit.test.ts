/** exit-transformer through the wire: answers of the gateway's own, whoever made them. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { policyGateway } from '../harness/policy-gateway.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-exit-'))
const file = join(folder, 'exit.ts')
writeFileSync(
  file,
  `import type { ExitFunction } from 'sluice-gateway/policy-kit'
   export const json: ExitFunction = ({ status, body, headers }) => ({
     status,
     headers: { ...headers, 'X-Error-Code': status },
     body: { error: status, message: typeof body === 'object' ? body.message : 'request failed' },
   })
   export const teapot: ExitFunction = (answer) => ({ ...answer, status: 418 })
   export const fails: ExitFunction = () => { throw new Error('no luck') }
   const note = (name: string): ExitFunction => (answer) => ({
     ...answer,
     body: (typeof answer.body === 'string' ? answer.body : '') + name,
   })
   export const a = note('a')
   export const b = note('b')
   export const g = note('g')`,
)
after(() => rmSync(folder, { recursive: true }))

const exit = (names: string, meta = '{}') =>
  `exit-transformer: { functions: [${names
    .split(' ')
    .map((name) => `"${file}#${name}"`)
    .join(', ')}], _meta: ${meta} }`

const { send, output } = policyGateway(
  () => `
consumers:
  - { username: jack, plugins: { key-auth: { key: jack-key } } }
global_rules:
  - id: g
    plugins: { ${exit('g', '{ filter: [[http_x_global, ==, "yes"]] }')} }
upstreams:
  - { id: nobody, nodes: { "127.0.0.1:1": 1 }, retries: 0 }
routes:
  - { id: auth, uri: /auth, upstream_id: u, plugins: { key-auth: {}, ${exit('json')} } }
  - { id: down, uri: /down, upstream_id: nobody, plugins: { ${exit('json')} } }
  - { id: order, uri: /order, upstream_id: u, plugins: { key-auth: { _meta: { error_response: "" } }, ${exit('a b')} } }
  - { id: fails, uri: /fails, upstream_id: u, plugins: { key-auth: {}, ${exit('fails teapot')} } }
  - { id: shadow, uri: /shadow, upstream_id: u, plugins: { key-auth: {}, ${exit('teapot', '{ mode: shadow }')} } }
  - { id: off, uri: /off, upstream_id: u, plugins: { key-auth: {}, ${exit('teapot', '{ disable: true }')} } }
  - { id: theirs, uri: /theirs, upstream_id: u, plugins: { ${exit('teapot')} } }
  - id: rewritten
    uri: /rewritten
    upstream_id: u
    plugins: { key-auth: {}, ${exit('teapot')}, response-rewrite: { headers: { set: { X-Status: $status } } } }
`,
  ({ target }, response) => {
    if (target !== '/theirs') return false
    response.statusCode = 404
    response.end('theirs')
    return true
  },
)

suite('what the gateway answers', () => {
  test('a policy refuses: status, fields and body are those of the function', async () => {
    const { status, headers, text, seen } = await send('/auth')
    assert.equal(status, 401)
    assert.equal(text, '{"error":401,"message":"Missing API key in request"}\n')
    assert.equal(headers.get('x-error-code'), '401')
    assert.equal(headers.get('content-type'), 'application/json')
    assert.equal(headers.get('www-authenticate'), 'apikey realm="key"')
    assert.equal(headers.get('content-length'), String(text.length))
    assert.equal(seen, undefined)
  })

  test('the upstream cannot be reached', async () => {
    const { status, text } = await send('/down')
    assert.deepEqual([status, text], [502, '{"error":502,"message":"request failed"}\n'])
  })

  test('HEAD gets the fields alone', async () => {
    const { status, headers, text } = await send('/auth', { method: 'HEAD' })
    assert.deepEqual([status, headers.get('x-error-code'), text], [401, '401', ''])
  })

  test('no route is found: functions of global rules have their say', async () => {
    const { text } = await send('/nowhere', { headers: { 'x-global': 'yes' } })
    assert.match(text, /g$/)
    assert.doesNotMatch((await send('/nowhere')).text, /g$/)
  })

  test('what comes later sees what they made', async () => {
    const { status, headers } = await send('/rewritten')
    assert.deepEqual([status, headers.get('x-status')], [418, '418'])
  })
})

test('what an upstream answers is left alone', async () => {
  const { status, text } = await send('/theirs')
  assert.deepEqual([status, text], [404, 'theirs'])
  assert.equal((await send('/auth', { headers: { apikey: 'jack-key' } })).status, 200)
})

suite('order and envelope', () => {
  test('functions of a list run in its order, those of global rules first', async () => {
    assert.equal((await send('/order')).text, 'ab')
    assert.equal((await send('/order', { headers: { 'x-global': 'yes' } })).text, 'gab')
  })

  test('one that fails changes nothing, is told of, and the next has its turn', async () => {
    const { status, text } = await send('/fails')
    assert.deepEqual([status, text], [418, '{"message":"Missing API key in request"}\n'])
    while (!/a function failed, the answer stays as it was/.test(output())) await setTimeout(10)
  })

  test('in shadow mode, or disabled, it changes nothing', async () => {
    assert.equal((await send('/shadow')).status, 401)
    assert.equal((await send('/off')).status, 401)
  })
})
