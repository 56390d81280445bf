/** What takes long about a publication keeps nobody else waiting, and publications do not overtake each other. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { type Preparation, preparedHere } from '../../src/control-plane/preparation.ts'
import { catalogue, policySchemas } from '../../src/policies/index.ts'
import { startTestControlPlane, TestAgent, type TestControlPlane } from '../harness/embedded-control-plane.ts'

const group = '/api/gateway_groups/default'
const route = (uri: string) => ({ uri, upstream: { nodes: { '127.0.0.1:1': 1 } } })

suite('a publication', () => {
  let plane: TestControlPlane
  let agent: TestAgent
  /** What the checks wait for; undefined: nothing. */
  let gate: Promise<void> | undefined
  let checks = 0

  before(async () => {
    const here = preparedHere(policySchemas(catalogue), '0.0.0-test')
    const preparation: Preparation = {
      ...here,
      async ask(task, question) {
        if (task === 'prepare') checks++
        await gate
        return here.ask(task, question)
      },
    }
    plane = await startTestControlPlane({ preparation })
    agent = await TestAgent.register(plane.platform, plane.token)
    await agent.poll()
  })

  after(() => plane.remove())

  test('is checked while heartbeats, polls and administrators get their answers', async () => {
    const { promise, resolve: open } = Promise.withResolvers<void>()
    gate = promise
    const begun = checks
    assert.equal((await plane.ask('PUT', '/apisix/admin/routes/a', route('/a'))).status, 201)
    const publishing = plane.ask('POST', `${group}/publish`)
    while (checks === begun) await new Promise(setImmediate)
    assert.equal((await agent.heartbeat()).status, 200)
    assert.equal(await agent.poll(), undefined, 'nothing is given out before it was checked')
    assert.equal((await plane.ask('PUT', '/apisix/admin/routes/b', route('/b'))).status, 201)
    open()
    assert.equal((await publishing).status, 200)
    const published = await agent.until(({ resources }) => (resources.routes as unknown[])?.length === 2)
    assert.deepEqual(
      (published.resources.routes as { id: string }[]).map(({ id }) => id),
      ['a', 'b'],
    )
  })

  test('has the version of what it was made from, though others follow while it is checked', async () => {
    await plane.ask('PUT', group, { enforce_service_publishing: true })
    const { promise, resolve: open } = Promise.withResolvers<void>()
    gate = promise
    const begun = checks
    await plane.ask('PUT', '/apisix/admin/routes/a', route('/first'))
    const first = plane.ask('POST', `${group}/publish`)
    while (checks === begun) await new Promise(setImmediate)
    await plane.ask('PUT', '/apisix/admin/routes/a', route('/second'))
    const second = plane.ask('POST', `${group}/publish`)
    open()
    const versions = [(await first).json.value.version, (await second).json.value.version]
    assert.ok(versions[0] < versions[1], `${versions}`)
    const { json } = await plane.ask('GET', `${group}/diff?from=${versions[0]}&to=${versions[1]}`)
    assert.deepEqual(
      json.list.map(({ before, after }: { before: { uri: string }; after: { uri: string } }) => [
        before.uri,
        after.uri,
      ]),
      [['/first', '/second']],
    )
    await agent.until(({ resources }) => (resources.routes as { uri: string }[])[0]!.uri === '/second')
    assert.equal(agent.held!.version, versions[1])
  })

  test('of which the check fails changes nothing, and the next one goes on', async () => {
    gate = Promise.reject(new Error('the thread ended'))
    gate.catch(() => {})
    const before = agent.held!.version
    const { status } = await plane.ask('POST', `${group}/publish`)
    assert.equal(status, 500)
    assert.equal(await agent.poll(), undefined)
    agent.held = undefined
    await agent.poll()
    assert.equal(agent.held!.version, before)
    gate = undefined
    await plane.ask('PUT', '/apisix/admin/routes/c', route('/c'))
    await plane.ask('POST', `${group}/publish`)
    await agent.until(({ resources }) => (resources.routes as unknown[]).length === 3)
    assert.ok(agent.held!.version > before)
  })

  test('has stream routes too', async () => {
    const stream = { server_port: 9100, upstream: { type: 'roundrobin', nodes: { '127.0.0.1:1': 1 } } }
    const { status, text } = await plane.ask('PUT', '/apisix/admin/stream_routes/s', stream)
    assert.equal(status, 201, text)
    await plane.ask('POST', `${group}/publish`)
    const { resources } = await agent.until(({ resources }) => resources.stream_routes !== undefined)
    assert.deepEqual(
      (resources.stream_routes as { id: string }[]).map(({ id }) => id),
      ['s'],
    )
  })

  test('that nobody asked for is tried again when its check failed', async () => {
    await plane.ask('PUT', group, { enforce_service_publishing: false })
    gate = Promise.reject(new Error('the thread ended'))
    gate.catch(() => {})
    const begun = checks
    await plane.ask('PUT', '/apisix/admin/routes/d', route('/d'))
    while (checks === begun) await new Promise(setImmediate)
    gate = undefined
    await agent.until(({ resources }) => (resources.routes as unknown[]).length === 4)
  })
})

suite('what a control plane does not have itself', () => {
  let plane: TestControlPlane
  let agent: TestAgent
  before(async () => {
    plane = await startTestControlPlane()
    agent = await TestAgent.register(plane.platform, plane.token)
    await agent.poll()
  })
  after(() => plane.remove())

  const put = (plugins: object) => plane.ask('PUT', '/apisix/admin/routes/r', { ...route('/r'), plugins })

  test('is refused where it is code, and the message says where that belongs', async () => {
    const { status, json } = await put({ 'my-own': {} })
    assert.equal(status, 400)
    assert.match(
      json.error_msg,
      /^unknown plugin \[my-own\]: .* comes with the gateway \(`gateway\.policies`\)/,
    )
    const resources = { routes: [{ id: 'r', ...route('/r'), plugins: { 'my-own': {} } }] }
    const tried = await plane.ask('POST', `${group}/dry_run`, { resources })
    assert.match(tried.text, /comes with the gateway/)
  })

  test('is published where it is a zone of the gateways, or a definition of messages', async () => {
    const cache = { cache_zone: 'a-zone-of-theirs', cache_strategy: 'disk' }
    const { status, text } = await put({ 'proxy-cache': cache })
    assert.equal(status, 201, text)
    const content = 'syntax = "proto3"; package p; message M { string name = 1; }'
    assert.equal((await plane.ask('PUT', '/apisix/admin/protos/m', { content })).status, 201)
    const { resources } = await agent.until((published) => 'protos' in published.resources)
    assert.match(JSON.stringify(resources.routes), /a-zone-of-theirs/)
    assert.match(JSON.stringify(resources.protos), /message M/)
  })
})
