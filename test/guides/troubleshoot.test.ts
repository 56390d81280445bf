/** Each symptom of docs/guides/troubleshoot.md is provoked, and what the guide says of it is what is seen. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'
import { converse } from '../harness/raw-client.ts'

const guide = readFileSync(new URL('../../docs/guides/troubleshoot.md', import.meta.url), 'utf8')
const main = new URL('../../bin/sluice.js', import.meta.url).pathname

/** @throws unless the guide has `text` in the section */
function guided(section: string, text: string): string {
  const [, body = ''] = guide.split(`## ${section}\n`)
  assert.ok(body.split('\n## ', 1)[0]?.includes(text), `the guide says nothing of ${text} under ${section}`)
  return text
}

suite('the guide to troubleshooting', () => {
  let gateway: RunningGateway
  let silent: Server
  let folder: string
  const ports = { metrics: 0, control: 0, silent: 0 }
  const ask = (path: string, options: RequestInit = {}) =>
    fetch(`http://127.0.0.1:${gateway.port}${path}`, options)
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text()
    const lines = text
      .split('\n')
      .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }
  const rises = async (name: string) => {
    for (let tries = 0; (await metric(name)) === 0; tries++) {
      assert.ok(tries < 200, `${name} stays 0`)
      await sleep(50)
    }
  }
  const logged = async (text: string) => {
    for (let tries = 0; !gateway.output().includes(text); tries++) {
      assert.ok(tries < 200, `the log does not say ${text}:\n${gateway.output()}`)
      await sleep(50)
    }
  }

  before(async () => {
    // It takes requests and never answers.
    silent = createServer((socket) => socket.on('error', () => {}).resume())
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    ports.silent = (silent.address() as { port: number }).port
    ports.metrics = await freePort()
    ports.control = await freePort()
    folder = await mkdtemp(join(tmpdir(), 'sluice-troubleshoot-'))
    const functions = join(folder, 'broken.js')
    await writeFile(functions, "export default () => { throw new Error('broken') }\n")
    gateway = await startGateway((port) => configuration(port, ports, functions))
  })
  after(async () => {
    await gateway?.stop()
    silent.close()
    await rm(folder, { recursive: true, force: true })
  })

  test('a start with findings', async () => {
    const section = 'The gateway does not start'
    const file = join(folder, 'wrong.yaml')
    await writeFile(file, 'routes: [{ id: a, uri: orders, upstream: { nodes: { "127.0.0.1:1": 1 } } }]\n')
    const { code, stderr } = await run(process.execPath, [main, 'start', '-c', file])
    assert.equal(code, 3)
    assert.ok(
      stderr.includes(guided(section, 'no request has the path "orders": it does not start with `/`')),
    )
    assert.ok(stderr.includes(guided(section, 'Did you mean "/orders"?')))
  })

  test('a start where somebody listens already', async () => {
    const { code, stderr } = await run(process.execPath, [main, 'start', '-c', gateway.file])
    assert.equal(code, 1)
    assert.ok(stderr.includes(guided('The gateway does not start', 'address already in use')), stderr)
  })

  test('readiness has a line for each reason', async () => {
    const text = await (await fetch(`http://127.0.0.1:${ports.metrics}/readyz?verbose`)).text()
    for (const line of ['plan applied', 'listening', 'not draining']) {
      assert.ok(text.includes(`[+] ${line}`), text)
      guided('The gateway is not ready', `[-] ${line}`)
    }
  })

  test('no route takes the request', async () => {
    const response = await ask('/nowhere')
    assert.equal(response.status, 404)
    assert.equal(
      (await response.text()).trim(),
      guided('404 from the gateway', '{"error_msg":"404 Route Not Found"}'),
    )
  })

  test('a policy refuses, and explain names it', async () => {
    assert.equal((await ask('/guarded')).status, 401)
    const { stdout } = await run(process.execPath, [
      main,
      'explain',
      '-c',
      gateway.file,
      `http://127.0.0.1:${gateway.port}/guarded`,
    ])
    assert.match(stdout, /key-auth/)
    assert.match(stdout, /401/)
  })

  test('requests that break a rule or a limit', async () => {
    const section = '400, 408, 413, 414 and 431'
    assert.equal((await ask('/dead', { method: 'POST', body: 'x'.repeat(2000) })).status, 413)
    assert.equal((await ask('/dead', { headers: { 'X-Long': 'x'.repeat(40_000) } })).status, 431)
    assert.equal((await ask(`/${'x'.repeat(20_000)}`)).status, 414)
    const { received } = await converse({ port: gateway.port, steps: ['GET / HTTP/1.1\r\n\r\n'] })
    assert.match(received.toString('latin1'), /^HTTP\/1\.1 400 /)
    await rises(guided(section, 'sluice_bad_requests_total'))
    for (const status of ['400', '413', '414', '431']) guided(section, `| ${status} |`)
  })

  test('a policy throws', async () => {
    assert.equal((await ask('/throws')).status, 500)
    await logged(guided('500 from a policy', 'policy failed'))
    await rises(guided('500 from a policy', 'sluice_policy_errors_total'))
  })

  test('an endpoint refuses connections', async () => {
    const response = await ask('/dead')
    assert.equal(response.status, 502)
    assert.equal(response.headers.get(guided('502, 503 and 504', 'X-APISIX-Upstream-Status')), '502')
    await logged(guided('502, 503 and 504', 'an endpoint could not be asked'))
  })

  test('no endpoint takes requests', async () => {
    assert.equal((await ask('/none')).status, 503)
    await logged(guided('502, 503 and 504', 'empty-upstream'))
    assert.equal((await ask('/name')).status, 503)
    await logged(guided('502, 503 and 504', 'name does not resolve'))
  })

  test('a limit of the circuit breaker is reached', async () => {
    const first = new AbortController()
    const waiting = ask('/full', { signal: first.signal }).catch(() => {})
    while ((await ask('/full', { signal: AbortSignal.timeout(300) }).catch(() => null))?.status !== 503)
      await sleep(20)
    await rises(guided('502, 503 and 504', 'sluice_upstream_breaker_refused_total'))
    first.abort()
    await waiting
  })

  test('an endpoint does not answer in time', async () => {
    assert.equal((await ask('/slow')).status, 504)
    await rises(guided('502, 503 and 504', 'sluice_upstream_timeouts_total'))
  })

  test('a log server that is gone', async () => {
    assert.equal((await ask('/logged')).status, 200)
    guided('Log entries are missing', 'sluice_log_entries_total{outcome="failed"}')
    await rises('sluice_log_entries_total{policy="http-logger",outcome="failed"}')
  })

  test('a change with findings, and one of what waits for the next start', async () => {
    const section = 'A change has no effect'
    const before = readFileSync(gateway.file, 'utf8')
    await writeFile(gateway.file, before.replace('uri: /dead', 'uri: dead'))
    await logged(guided(section, 'NEW CONFIGURATION REFUSED'))
    await rises(guided(section, 'sluice_config_rejected_total'))
    await writeFile(gateway.file, before.replace('workers: 1', 'workers: 2'))
    await logged(guided(section, 'changed settings that take effect at the next start'))
  })
})

const configuration = (
  port: number,
  { metrics, control, silent }: Record<string, number>,
  functions: string,
) => `
gateway:
  listeners: [{ name: http, host: 127.0.0.1, port: ${port} }]
  workers: 1
  limits: { body: 1KiB }
  metrics: { port: ${metrics} }
  control: { port: ${control} }
upstreams:
  - { id: dead, nodes: { "127.0.0.1:1": 1 } }
  - { id: none, nodes: {} }
  - { id: name, nodes: { "nowhere.invalid:80": 1 } }
  - { id: slow, nodes: { "127.0.0.1:${silent}": 1 }, timeout: { connect: 1, send: 1, read: 0.1 } }
  - id: full
    nodes: { "127.0.0.1:${silent}": 1 }
    circuit_breaker: { max_requests: 1 }
routes:
  - { id: dead, uri: /dead, upstream_id: dead }
  - { id: none, uri: /none, upstream_id: none }
  - { id: name, uri: /name, upstream_id: name }
  - { id: slow, uri: /slow, upstream_id: slow }
  - { id: full, uri: /full, upstream_id: full }
  - { id: guarded, uri: /guarded, plugins: { key-auth: {} }, upstream_id: dead }
  - id: throws
    uri: /throws
    plugins: { serverless-pre-function: { functions: ["${functions}"] } }
    upstream_id: dead
  - id: logged
    uri: /logged
    plugins:
      mocking: { response_example: hello }
      http-logger: { uri: "http://127.0.0.1:1/", batch_max_size: 1, max_retry_count: 0 }
`

interface Ended {
  code: number
  stdout: string
  stderr: string
}

function run(command: string, args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(command, args, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    )
  })
}
