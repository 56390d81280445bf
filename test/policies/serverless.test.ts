/** Functions of the operator through the wire: every phase, every way to answer, files and the Admin API. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { load, readText } from '../../src/config/load.ts'
import { checkWithPolicies } from '../../src/policy-modules.ts'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'
import { policyGateway } from '../harness/policy-gateway.ts'

const folder = await mkdtemp(join(tmpdir(), 'sluice-functions-'))
after(() => rm(folder, { recursive: true, force: true }))
await mkdir(join(folder, 'permitted'))
await writeFile(
  join(folder, 'all.ts'),
  `
import type { BodyFunction, RequestFunction, ResponseFunction } from 'sluice-gateway/policy-kit'
export const mark = ((exchange) => {
  const { headers } = exchange.request
  headers.set('X-Marks', (headers.get('x-marks') ?? '') + (exchange.consumer?.username ?? '-'))
}) satisfies RequestFunction
export const slow = (async () => { await undefined }) satisfies RequestFunction
export const slowAnswer = (async () => { await undefined; return { status: 202, body: 'slow', headers: { 'X-A': 1 } } }) satisfies RequestFunction
export const forbid = (() => ({ status: 403, body: 'forbidden' })) satisfies RequestFunction
export const json = (() => ({ status: 201, body: { a: 1 } })) satisfies RequestFunction
export const page = (() => ({ status: 503 })) satisfies RequestFunction
export const throws = () => { throw new Error('on purpose') }
export const rejects = async () => { throw new Error('on purpose') }
export const nonsense = () => 'forbidden' as never
export const splits = () => ({ status: 200, headers: { 'X-A': 'b\\r\\nX-Injected: 1' } })
export const field = ((exchange) => { exchange.answer.set('X-Function', 'yes'); exchange.response.setStatus(299) }) satisfies ResponseFunction
export const upper = (() => ({ write: (piece) => Buffer.from(piece.toString().toUpperCase()) })) satisfies BodyFunction
export const bracket = (() => ({ write: (piece) => Buffer.concat([Buffer.from('['), piece]), end: () => Buffer.from(']') })) satisfies BodyFunction
export const log = (exchange, host) => host.log.warn({ status: exchange.response.status }, 'seen by a function')
export const logRejects = async () => { throw new Error('after the answer') }
`,
)
const gateway = policyGateway(
  () => `
consumers: [{ username: jack, plugins: { key-auth: { key: one } } }]
routes:
${Object.entries({
  first: 'serverless-pre-function: { phase: rewrite, functions: [ALL#mark] }, key-auth: {}',
  second: 'serverless-pre-function: { functions: [ALL#mark, ALL#slow, ALL#mark] }, key-auth: {}',
  both: 'serverless-pre-function: { phase: before_proxy, functions: [ALL#mark] }, serverless-post-function: { functions: [ALL#slowAnswer] }',
  forbid: 'serverless-post-function: { functions: [ALL#slow, ALL#forbid, ALL#throws] }',
  json: 'serverless-pre-function: { phase: before_proxy, functions: [ALL#json] }',
  page: 'serverless-pre-function: { phase: rewrite, functions: [ALL#page] }',
  throws: 'serverless-pre-function: { functions: [ALL#throws] }',
  rejects: 'serverless-pre-function: { functions: [ALL#rejects] }',
  nonsense: 'serverless-pre-function: { functions: [ALL#nonsense] }',
  splits: 'serverless-pre-function: { functions: [ALL#splits] }',
  field: 'serverless-pre-function: { phase: header_filter, functions: [ALL#field] }',
  body: 'serverless-pre-function: { phase: body_filter, functions: [ALL#upper, ALL#bracket] }, proxy-rewrite: { uri: /short }',
  log: 'serverless-post-function: { phase: log, functions: [ALL#log] }',
  logRejects: 'serverless-post-function: { phase: log, functions: [ALL#logRejects] }',
})
  .map(([name, plugins]) => `  - { id: ${name}, uris: [/${name}], upstream_id: u, plugins: { ${plugins} } }`)
  .join('\n')
  .replaceAll(/ALL#(\w+)/g, `"${join(folder, 'all.ts')}#$1"`)}
`,
  ({ target }, response) => {
    if (target === '/short') response.end('short')
    return target === '/short'
  },
)

suite('a function', () => {
  test('of rewrite runs before the consumer is known, one of access after', async () => {
    const apikey = { headers: { apikey: 'one' } }
    assert.equal((await gateway.send('/first', apikey)).seen?.headers['x-marks'], '-')
    assert.equal((await gateway.send('/second', apikey)).seen?.headers['x-marks'], 'jackjack')
    assert.equal((await gateway.send('/second')).seen, undefined)
  })

  test('answers in each phase of a request, also after a wait, and the upstream gets nothing', async () => {
    const answers = {
      '/both': [202, 'slow'],
      '/forbid': [403, 'forbidden'],
      '/json': [201, '{"a":1}\n'],
    } as const
    for (const [path, [status, body]] of Object.entries(answers)) {
      const { seen, ...answered } = await gateway.send(path)
      assert.deepEqual([answered.status, answered.text, seen], [status, body, undefined], path)
    }
    assert.equal((await gateway.send('/both')).headers.get('x-a'), '1')
    assert.match((await gateway.send('/page')).text, /503 Service/)
  })

  for (const path of ['/throws', '/rejects', '/nonsense', '/splits']) {
    test(`denies with 500 when it fails: ${path}`, async () => {
      const { status, seen, headers } = await gateway.send(path)
      assert.deepEqual([status, seen, headers.get('x-injected')], [500, undefined, null])
    })
  }

  test('changes the head and the body of an answer', async () => {
    const { status, headers } = await gateway.send('/field')
    assert.deepEqual([status, headers.get('x-function')], [299, 'yes'])
    assert.equal((await gateway.send('/body')).text, '[SHORT]')
  })

  test('of log sees what became of the request; one that rejects there ends nothing', async () => {
    await gateway.send('/log')
    await gateway.send('/logRejects')
    assert.equal((await gateway.send('/log')).status, 200)
    assert.match(gateway.output(), /"status":200,"message":"seen by a function"/)
    assert.doesNotMatch(gateway.output(), /data thread ended/)
  })
})

test('a module that cannot be loaded is one finding, not also its uses', async (t: TestContext) => {
  const place = await mkdtemp(join(tmpdir(), 'sluice-broken-'))
  t.after(() => rm(place, { recursive: true }))
  await writeFile(join(place, 'a.ts'), 'export default (')
  await writeFile(
    join(place, 'sluice.yaml'),
    `routes: [{ id: r, uri: /, upstream: { nodes: { "127.0.0.1:1": 1 } }, plugins: { serverless-pre-function: { functions: [a.ts] } } }]`,
  )
  const { plan, findings } = await checkWithPolicies(await load(['sluice.yaml'], {}, place), place, {
    gatewayVersion: '0',
  })
  assert.equal(plan, undefined)
  assert.deepEqual(
    findings.map(({ code, file }) => [code, file]),
    [['invalid-function', 'a.ts']],
  )
})

test('a document from elsewhere, such as a control plane, has no module loaded by naming it', async (t: TestContext) => {
  const place = await mkdtemp(join(tmpdir(), 'sluice-elsewhere-'))
  t.after(() => rm(place, { recursive: true }))
  const trace = join(place, 'trace')
  const source = `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(trace)}, ''); export default () => {}`
  await mkdir(join(place, 'mine'))
  await writeFile(join(place, 'a.ts'), source)
  await writeFile(join(place, 'mine', 'policy.ts'), source)
  await writeFile(join(place, 'sluice.yaml'), 'routes: []')
  const loaded = await load(['sluice.yaml'], {}, place)
  const upstream = { nodes: { '127.0.0.1:1': 1 } }
  const named = (path: string) => ({
    gateway: { policies: [join(place, 'mine')], functions: { folder: place } },
    routes: [{ id: 'r', uri: '/', upstream, plugins: { 'serverless-pre-function': { functions: [path] } } }],
  })
  for (const path of [join(place, 'a.ts'), './a.ts']) {
    const all = { ...loaded, documents: [...loaded.documents], findings: [] }
    readText('elsewhere', JSON.stringify(named(path)), {}, all)
    const { plan, findings } = await checkWithPolicies(all, place, { gatewayVersion: '0' })
    assert.equal(plan, undefined)
    assert.ok(findings.some(({ code }) => code === 'unknown-function'))
  }
  assert.equal(existsSync(trace), false)
})

suite('through the Admin API', () => {
  let running: RunningGateway | undefined
  let admin = 0
  const key = 'a-key-for-this-test-alone'
  const start = async (functions: string) => {
    admin = await freePort()
    running = await startGateway(
      (port) => `
gateway:
  workers: 1
  data_dir: ':memory:'
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  control: { enabled: false }
  metrics: { enabled: false }
  admin: { port: ${admin}, keys: [{ key: ${key} }] }
  ${functions}
routes:
  - id: file
    uri: /file
    upstream: { nodes: { "127.0.0.1:1": 1 } }
    plugins: { serverless-pre-function: { functions: ["${join(folder, 'all.ts')}#forbid"] } }
`,
    )
    while (!running.output().includes('"ready"')) await sleep(20)
  }
  const put = async (entry: string) => {
    const answer = await fetch(`http://127.0.0.1:${admin}/apisix/admin/routes/r`, {
      method: 'PUT',
      headers: { 'x-api-key': key },
      body: JSON.stringify({
        uri: '/r',
        upstream: { nodes: { '127.0.0.1:1': 1 } },
        plugins: { 'serverless-pre-function': { functions: [entry] } },
      }),
    })
    return { status: answer.status, text: await answer.text() }
  }
  before(() =>
    writeFile(join(folder, 'permitted', 'hello.ts'), "export default () => ({ status: 200, body: 'hello' })"),
  )
  after(() => running?.stop())

  test('no code can be named unless the operator permits a folder', async () => {
    await start('')
    for (const entry of [
      'hello.ts',
      join(folder, 'permitted', 'hello.ts'),
      `${join(folder, 'all.ts')}#forbid`,
    ]) {
      const { status, text } = await put(entry)
      assert.equal(status, 400)
      assert.match(text, /gateway\.functions\.folder is not set/)
    }
    await running?.stop()
  })

  test('what stands in a permitted folder can be named, and nothing else', async () => {
    await start(`functions: { folder: ${join(folder, 'permitted')} }`)
    for (const entry of [
      '../all.ts#forbid',
      `${join(folder, 'all.ts')}#forbid`,
      'none.ts',
      'return function() end',
    ])
      assert.equal((await put(entry)).status, 400, entry)
    assert.equal((await put('hello.ts')).status, 201)
    const answer = await fetch(`http://127.0.0.1:${running!.port}/r`)
    assert.equal(await answer.text(), 'hello')
  })
})
