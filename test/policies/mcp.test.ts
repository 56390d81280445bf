/** Programs that speak MCP, bridged to clients over server-sent events. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { withSynced } from '../../src/cli/synced-document.ts'
import { check, checkHeld } from '../../src/config/check.ts'
import type { SyncedConfiguration } from '../../src/config-sync/protocol/messages.ts'
import { catalogue, policySchemas } from '../../src/policies/index.ts'
import { startGateway } from '../harness/gateway.ts'
import { policyGateway } from '../harness/policy-gateway.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-mcp-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** Answers requests as an MCP server does, and does strange things when it is asked for them. */
const server = join(folder, 'server.mjs')
writeFileSync(
  server,
  `
import { createInterface } from 'node:readline'
import { spawn } from 'node:child_process'
console.error('started with ' + process.argv.slice(2).join(' '))
for await (const line of createInterface({ input: process.stdin })) {
  const { id, method } = JSON.parse(line)
  const say = (result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n')
  if (method === 'tools/list') say({ tools: [{ name: 'ü' }], pid: process.pid })
  else if (method === 'env') say(Object.keys(process.env).sort())
  else if (method === 'bytes') for (const byte of Buffer.from(JSON.stringify({ id, result: 'é' }) + '\\r\\n')) {
    process.stdout.write(Buffer.of(byte))
    await new Promise(setImmediate)
  }
  else if (method === 'child') say({ pid: spawn('sleep', ['600'], { stdio: 'ignore' }).pid })
  else if (method === 'endless') for (let i = 0; i < 100; i++) process.stdout.write('x'.repeat(100_000))
  else if (method === 'exit') process.exit(3)
  else if (method === 'crash') process.kill(process.pid, 'SIGSEGV')
  else if (method === 'echo') process.stdout.write(JSON.stringify({ line }) + '\\n')
}
if (process.argv.includes('mild')) {
  console.error('ended by itself')
  process.exit()
}
// Nothing but a kill ends it, unless the test is over for long.
process.on('SIGTERM', () => {})
setTimeout(() => process.exit(), 120_000)
await new Promise(() => {})
`,
)

/** All that ran, so that a failing test leaves none behind. */
const programs = new Set<number>()
after(() => {
  for (const pid of programs) if (isRunning(pid)) process.kill(pid, 'SIGKILL')
})

const bridge = (more: object = {}) => ({
  command: process.execPath,
  args: [server, 'one', '$(two)'],
  ...more,
})
const gateway = policyGateway(
  () => `
gateway: { commands: [${JSON.stringify(process.execPath)}, /nowhere/program] }
consumers:
  - { username: jack, plugins: { key-auth: { key: jack-key } } }
  - { username: jill, plugins: { key-auth: { key: jill-key } } }
routes:
  - ${JSON.stringify({ id: 'open', uri: '/mcp/*', plugins: { 'mcp-bridge': bridge({ base_uri: '/mcp', max_sessions: 2 }) } })}
  - ${JSON.stringify({ id: 'key', uri: '/key/*', plugins: { 'key-auth': {}, 'mcp-bridge': bridge({ base_uri: '/key' }) } })}
  - ${JSON.stringify({ id: 'mild', uri: '/mild/*', plugins: { 'mcp-bridge': bridge({ base_uri: '/mild', args: [server, 'mild'] }) } })}
  - ${JSON.stringify({ id: 'shadow', uri: '/shadow/*', upstream_id: 'u', plugins: { 'mcp-bridge': bridge({ base_uri: '/shadow', args: [server, 'shadow'], _meta: { mode: 'shadow' } }) } })}
  - ${JSON.stringify({ id: 'none', uri: '/none/*', plugins: { 'mcp-bridge': { base_uri: '/none', command: '/nowhere/program' } } })}
`,
  () => false,
  { SECRET_OF_THE_GATEWAY: 'x' },
)

interface Client {
  endpoint: string
  headers: Record<string, string>
  /** The next message that is no ping. */
  next(): Promise<Record<string, unknown>>
  /** Whether the stream is over. */
  ended: Promise<void>
  close(): void
}

async function connect(
  path: string,
  headers: Record<string, string> = {},
  port = gateway.port,
): Promise<Client> {
  const events: [type: string, data: string][] = []
  let wake = () => {}
  let rest = ''
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  const request = http.get({ port, path, headers, agent: false })
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject)
  })
  assert.equal(response.statusCode, 200)
  assert.equal(response.headers['content-type'], 'text/event-stream')
  request.on('error', () => {})
  response.setEncoding('utf8').on('error', () => {})
  response.on('close', end)
  response.on('data', (text: string) => {
    const parts = (rest + text).split('\n\n')
    rest = parts.pop()!
    for (const part of parts) {
      const [, type = '', data = ''] = /^event: (.*)\ndata: (.*)$/.exec(part) ?? []
      if (!data.includes('"method": "ping"')) events.push([type, data])
    }
    wake()
  })
  const take = async () => {
    while (events.length === 0)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    return events.shift()!
  }
  const [type, endpoint] = await take()
  assert.equal(type, 'endpoint')
  return {
    endpoint,
    headers,
    next: async () => JSON.parse((await take())[1]) as Record<string, unknown>,
    ended,
    close: () => request.destroy(),
  }
}

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(`http://127.0.0.1:${gateway.port}${path}`, {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

/** What the process table says; one that has ended and that nobody has fetched does not run. */
function isRunning(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
  return stdout.trim() !== '' && !stdout.startsWith('Z')
}

async function gone(pids: readonly number[]) {
  while (pids.some(isRunning)) await pause(50)
}

let asked = 0

async function ask(client: Client, method: string): Promise<unknown> {
  const id = ++asked
  const sent = await post(client.endpoint, { id, method }, client.headers)
  assert.equal(sent.status, 202)
  const answer = await client.next()
  assert.equal(answer.id, id)
  return answer.result
}

/** The numbers of a client's program and of one that it starts. */
async function programsOf(client: Client): Promise<number[]> {
  const { pid } = (await ask(client, 'tools/list')) as { pid: number }
  const child = (await ask(client, 'child')) as { pid: number }
  const pids = [pid, child.pid]
  for (const one of pids) {
    programs.add(one)
    assert.ok(isRunning(one))
  }
  return pids
}

test('a client speaks with a program of its own', async () => {
  const [a, b] = [await connect('/mcp/sse'), await connect('/mcp/sse')]
  assert.match(a.endpoint, /^\/mcp\/message\?sessionId=[0-9a-f-]{36}$/)
  // A line end between two values does not make two messages of one, and a number stays as it is.
  const sent = await post(a.endpoint, '{"id":1,\r\n"method":"echo", "n": 12345678901234567890}')
  assert.equal(sent.status, 202)
  assert.equal((await a.next()).line, '{"id":1, "method":"echo", "n": 12345678901234567890}')
  assert.equal(((await ask(a, 'tools/list')) as { tools: { name: string }[] }).tools[0]?.name, 'ü')
  assert.equal(await ask(a, 'bytes'), 'é')
  const ofA = await programsOf(a)
  const ofB = await programsOf(b)
  assert.notEqual(ofA[0], ofB[0])
  assert.equal((await fetch(`http://127.0.0.1:${gateway.port}/mcp/sse`)).status, 503)
  const names = (await ask(a, 'env')) as string[]
  assert.ok(names.includes('PATH') && !names.includes('SECRET_OF_THE_GATEWAY'))
  assert.match(gateway.output(), /started with one \$\(two\)/)
  a.close()
  // It does not end when it is asked to, so it is made to.
  await gone(ofA)
  assert.equal((await post(a.endpoint, { id: 6, method: 'tools/list' })).status, 404)
  assert.ok(ofB.every(isRunning))
  b.close()
  await gone(ofB)
})

test('a program that ends when it is asked to need not be killed', async () => {
  const client = await connect('/mild/sse')
  const [pid, child] = (await programsOf(client)) as [number, number]
  client.close()
  await gone([pid, child])
  while (!gateway.output().includes('ended by itself')) await pause(20)
})

test('what a program has started ends with it', async () => {
  const client = await connect('/mcp/sse')
  const pids = await programsOf(client)
  await post(client.endpoint, { id: 1, method: 'exit' })
  await client.ended
  await gone(pids)
})

for (const method of ['exit', 'endless', 'crash']) {
  test(`a stream ends when its program does (${method})`, async () => {
    const client = await connect('/mcp/sse')
    const pids = await programsOf(client)
    await post(client.endpoint, { id: 1, method })
    await client.ended
    await gone(pids)
    assert.equal((await post(client.endpoint, { id: 1, method: 'env' })).status, 404)
  })
}

/** A gateway that ends, or changes, with a test. */
async function passing(t: TestContext, drain = '30s') {
  const config = (routes: object[]) =>
    JSON.stringify({
      gateway: {
        commands: [process.execPath],
        workers: 1,
        timeouts: { drain },
        metrics: { enabled: false },
        control: { enabled: false },
      },
      routes,
    })
  const route = { id: 'a', uri: '/mcp/*', plugins: { 'mcp-bridge': bridge({ base_uri: '/mcp' }) } }
  let listener = 0
  const written = (routes: object[]) => {
    const text = JSON.parse(config(routes)) as { gateway: object }
    return JSON.stringify({
      ...text,
      gateway: { ...text.gateway, listeners: [{ host: '127.0.0.1', port: listener }] },
    })
  }
  const running = await startGateway((port) => {
    listener = port
    return written([route])
  })
  t.after(() => running.stop())
  const client = await connect('/mcp/sse', {}, running.port)
  const sent = async (id: number, method: string) => {
    await fetch(`http://127.0.0.1:${running.port}${client.endpoint}`, {
      method: 'POST',
      body: JSON.stringify({ id, method }),
    })
    return ((await client.next()) as { result: { pid: number } }).result.pid
  }
  const pids = [await sent(1, 'tools/list'), await sent(2, 'child')]
  for (const pid of pids) {
    programs.add(pid)
    assert.ok(isRunning(pid))
  }
  const reload = (routes: object[]) => {
    writeFileSync(running.file, written(routes))
    process.kill(running.pid, 'SIGHUP')
  }
  return { running, route, client, pids, sent, reload }
}

test('programs end with a gateway that is killed', async (t) => {
  const { running, pids } = await passing(t)
  process.kill(running.pid, 'SIGKILL')
  await gone(pids)
})

test('programs end with a gateway that is asked to end', async (t) => {
  const { running, pids, client } = await passing(t, '100ms')
  process.kill(running.pid, 'SIGTERM')
  await client.ended
  await gone(pids)
})

test('a reload ends the programs of a policy that is there no more, and no others', async (t) => {
  const { client, pids, sent, route, reload, running } = await passing(t)
  const other = { id: 'b', uri: '/b', plugins: { mocking: { response_example: 'b' } } }
  reload([route, other])
  while ((await fetch(`http://127.0.0.1:${running.port}/b`)).status !== 200) await pause(20)
  assert.equal(await sent(3, 'tools/list'), pids[0])
  reload([other])
  await client.ended
  await gone(pids)
})

test('a session takes messages from who opened it', async () => {
  const client = await connect('/key/sse', { apikey: 'jack-key' })
  assert.equal((await post(client.endpoint, { id: 1, method: 'env' }, { apikey: 'jill-key' })).status, 404)
  assert.equal((await post(client.endpoint, { id: 1, method: 'env' })).status, 401)
  assert.equal((await post(client.endpoint, { id: 1, method: 'env' }, { apikey: 'jack-key' })).status, 202)
  assert.equal((await client.next()).id, 1)
  client.close()
})

test('what is no session, no message or no program is answered so', async () => {
  const client = await connect('/mcp/sse')
  for (const body of ['', 'x', '{"a":']) assert.equal((await post(client.endpoint, body)).status, 400)
  client.close()
  assert.equal((await post('/mcp/message?sessionId=x', {})).status, 404)
  assert.equal((await post('/mcp/message', {})).status, 404)
  assert.equal((await post('/mcp/sse', {})).status, 404)
  for (const path of ['/mcp/message', '/mcp/x', '/mcp/sse/x'])
    assert.equal((await fetch(`http://127.0.0.1:${gateway.port}${path}`)).status, 404)
  assert.equal((await fetch(`http://127.0.0.1:${gateway.port}/none/sse`)).status, 500)
})

test('a policy in the shadow leaves no program behind', async () => {
  const answered = await gateway.send('/shadow/sse')
  assert.ok(answered.seen)
  // The program is told from the others by its argument.
  const count = () =>
    spawnSync('ps', ['-eo', 'args='], { encoding: 'utf8' }).stdout.split(`${server} shadow`).length - 1
  while (count() > 0) await pause(50)
})

test('a program that the gateway may not start is a finding', () => {
  const file = join(folder, 'sluice.yaml')
  const plugins = { 'mcp-bridge': { command: 'npx', args: ['-y'] } }
  writeFileSync(file, JSON.stringify({ routes: [{ id: 'a', uri: '/*', plugins }] }))
  const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'validate', '-c', file], {
    encoding: 'utf8',
  })
  assert.equal(status, 3)
  assert.match(stdout + stderr, /names a program that the gateway may not start[\s\S]*gateway\.commands/)
})

test('what comes over an API starts no program, whatever the gateway may start', () => {
  const plugins = { 'mcp-bridge': { command: 'npx' } }
  const document = (file: string, value: object) => ({ file, value, locate: () => [] })
  const file = document('sluice.yaml', { gateway: { commands: ['npx'] } })
  const routes = document('routes', { routes: [{ id: 'a', uri: '/*', plugins }] })
  const options = { gatewayVersion: '1.0.0', planOnly: true }
  const schemas = policySchemas(catalogue)
  const inFiles = check({ documents: [file, routes], findings: [] }, schemas, options)
  assert.deepEqual(inFiles.findings, [])
  const held = check({ documents: [file], findings: [] }, schemas, { ...options, held: routes })
  assert.match(held.findings[0]!.message, /a program that the gateway may not start/)
  const synced = {
    resources: { routes: [{ id: 'a', uri: '/*', plugins }] },
  } as unknown as SyncedConfiguration
  const fromControlPlane = check(
    withSynced({ documents: [file], findings: [] }, synced, {}),
    schemas,
    options,
  )
  assert.match(fromControlPlane.findings[0]!.message, /a program that the gateway may not start/)
  const single = checkHeld('routes', { id: 'a', uri: '/*', plugins }, schemas, new Map())
  assert.ok('finding' in single)
})
