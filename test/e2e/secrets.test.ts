/** Secrets through the whole gateway: from a manager over HTTP to a decision about a request, and nowhere else. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { runProgram } from '../../src/cli/program.ts'
import { type FakeManager, startFakeManager } from '../harness/fake-manager.ts'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'

/** Planted wherever a value may stand; none of them may ever be told to anybody but the upstream. */
const canaries = ['canary-jack-1', 'canary-jack-2', 'canary-jill', 'canary-header', 'canary-token']

let upstream: http.Server
let vault: FakeManager
let gateway: RunningGateway
let control: number
let metrics: number
const secrets: Record<string, Record<string, string> | undefined> = {}
const closing: (() => void)[] = []

before(async () => {
  upstream = http.createServer((request, response) => {
    request.resume()
    response.end(JSON.stringify(request.headers))
  })
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const scope = { after: (close: () => void) => closing.push(close) }
  vault = await startFakeManager(scope, ({ path, headers }) => {
    const data = secrets[path.replace('/v1/kv/', '')]
    if (headers['x-vault-token'] !== 'canary-token') return { status: 403, body: {} }
    return data === undefined ? { status: 404, body: { errors: [] } } : { status: 200, body: { data } }
  })
  secrets.jack = { key: 'canary-jack-1' }
  secrets.realm = { text: 'canary-header' }
  control = await freePort()
  metrics = await freePort()
  gateway = await startGateway((port) => configuration(port, (upstream.address() as AddressInfo).port), {
    JILL_KEY: 'canary-jill',
    VAULT_TOKEN: 'canary-token',
  })
})
after(async () => {
  await gateway?.stop()
  for (const close of closing) close()
  upstream.close()
})

const configuration = (port: number, upstreamPort: number) => `
gateway:
  workers: 2
  listeners: [{ name: http, host: 127.0.0.1, port: ${port} }]
  metrics: { port: ${metrics} }
  control: { port: ${control} }
  secrets: { unresolved: deny }
upstreams: [{ id: u, nodes: { "127.0.0.1:${upstreamPort}": 1 } }]
secrets:
  - { id: vault/1, uri: "${vault.address}", prefix: kv, token: $env://VAULT_TOKEN }
consumers:
  - { username: jack, plugins: { key-auth: { key: $secret://vault/1/jack/key } } }
  - { username: jill, plugins: { key-auth: { key: $env://JILL_KEY } } }
  - { username: joan, plugins: { key-auth: { key: $secret://vault/1/joan/key } } }
routes:
  - { id: a, uri: /a, upstream_id: u, plugins: { key-auth: {} } }
  - { id: b, uri: /b, upstream_id: u, plugins: { key-auth: { realm: $secret://vault/1/realm/text } } }
  - { id: missing, uri: /missing, upstream_id: u, plugins: { cors: { allow_origins: $secret://vault/1/none/at-all } } }
  - id: optional
    uri: /optional
    upstream_id: u
    plugins: { cors: { allow_origins: $secret://vault/1/none/at-all, _meta: { on_error: continue } } }
`

async function send(path: string, apikey?: string) {
  const answer = await fetch(`http://127.0.0.1:${gateway.port}${path}`, {
    headers: apikey === undefined ? {} : { apikey },
  })
  return { status: answer.status, headers: answer.headers, text: await answer.text() }
}

/** Has the gateway read its secrets anew, as it does when their time comes. */
async function readAnew(): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${control}/v1/state?kind=caches`, { method: 'DELETE' })
  assert.equal(answer.status, 200, await answer.text())
}

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 10))
}

suite('credentials', () => {
  test('are what references lead to, of a manager and of the environment', async () => {
    assert.match((await send('/a', 'canary-jack-1')).text, /"x-consumer-username":"jack"/)
    assert.match((await send('/a', 'canary-jill')).text, /"x-consumer-username":"jill"/)
  })

  test('are never the text of the reference, resolved or not', async () => {
    for (const text of ['$secret://vault/1/jack/key', '$secret://vault/1/joan/key', '$env://JILL_KEY', '']) {
      assert.equal((await send('/a', text)).status, 401, text)
    }
  })

  test('change in all threads without a reload, and stay while the manager is down', async () => {
    secrets.jack = { key: 'canary-jack-2' }
    await readAnew()
    await eventually(async () => (await send('/a', 'canary-jack-2')).status === 200)
    for (let n = 0; n < 20; n++) assert.equal((await send('/a', 'canary-jack-1')).status, 401)

    const { answer } = vault
    vault.answer = () => ({ status: 503, body: {} })
    await readAnew()
    await eventually(async () => /its last value stays/.test(gateway.output()))
    assert.equal((await send('/a', 'canary-jack-2')).status, 200)
    vault.answer = answer
    await readAnew()
    await eventually(async () => /a secret can be read again/.test(gateway.output()))
  })

  test('end with the secret', async () => {
    secrets.jack = undefined
    await readAnew()
    await eventually(async () => (await send('/a', 'canary-jack-2')).status === 401)
    assert.equal((await send('/a', 'canary-jill')).status, 200)
  })
})

suite('the configuration of a policy', () => {
  test('has the value', async () => {
    const { status, headers } = await send('/b')
    assert.equal(status, 401)
    assert.equal(headers.get('www-authenticate'), 'apikey realm="canary-header"')
  })

  test('without it: the policy denies, unless it may be left out', async () => {
    assert.equal((await send('/missing')).status, 503)
    assert.equal((await send('/optional')).status, 200)
  })
})

test('values are told to nobody', async () => {
  const pages = ['/v1/plan', '/v1/schema', '/v1/routes', '/v1/services', '/v1/upstreams', '/v1/state']
  const exposed = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text()
  assert.match(exposed, /^sluice_secrets\{state="resolved"\} 2$/m)
  assert.match(exposed, /^sluice_secrets\{state="unresolved"\} 3$/m)
  let told = gateway.output() + exposed
  for (const page of pages) told += await (await fetch(`http://127.0.0.1:${control}${page}`)).text()
  const folder = await mkdtemp(join(tmpdir(), 'sluice-secrets-'))
  await writeFile(join(folder, 'sluice.yaml'), configuration(1, 1))
  for (const format of ['text', 'json']) {
    const sink = {
      write(part: string) {
        told += part
      },
    }
    const env = { JILL_KEY: 'canary-jill', VAULT_TOKEN: 'canary-token' }
    const io = { stdout: sink, stderr: sink, env, cwd: folder, isTTY: false }
    await runProgram(['validate', '-c', folder, '--secrets', '--format', format], io)
  }
  await rm(folder, { recursive: true })
  assert.match(told, /vault\/1\/none\/at-all/)
  for (const canary of canaries) assert.equal(told.includes(canary), false, canary)
})

test('a configuration with a secret that is not there is refused, unless it is let be', async () => {
  const strict = (port: number) => configuration(port, 1).replace('  secrets: { unresolved: deny }\n', '')
  await assert.rejects(
    startGateway(strict, { JILL_KEY: 'canary-jill', VAULT_TOKEN: 'canary-token' }),
    /unresolved-secret: routes\[2\]\.plugins\.cors\.allow_origins: the secret cannot be read/,
  )
})
