/** `sluice start` as an operator runs it: a process of its own, real files, real signals. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

const main = new URL('../../src/main.ts', import.meta.url).pathname

class Gateway {
  readonly process: ChildProcess
  readonly exited: Promise<number | null>
  output = ''
  errors = ''
  readonly #waiting = new Set<() => void>()

  constructor(args: string[], env: Record<string, string> = {}) {
    this.process = spawn(process.execPath, [main, ...args], { env: { ...process.env, ...env } })
    this.process.stdout!.setEncoding('utf8').on('data', (text) => {
      this.output += text
      this.#wake()
    })
    this.process.stderr!.setEncoding('utf8').on('data', (text) => {
      this.errors += text
      this.#wake()
    })
    // `close`, not `exit`: everything that was written has been read by then.
    this.exited = once(this.process, 'close').then(([code]) => {
      this.#wake()
      return code as number | null
    })
  }

  /** Resolves with the line of the runtime log. */
  async logged(message: string): Promise<Record<string, unknown>> {
    for (;;) {
      for (const line of this.errors.split('\n')) {
        if (line.startsWith('{') && line.endsWith('}')) {
          const parsed = JSON.parse(line)
          if (parsed.message === message) return parsed
        }
      }
      if (this.process.exitCode !== null) throw new Error(`it ended: ${this.errors}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  /** What the banner says about a name. */
  url(name: string): string {
    const found = new RegExp(`^  ${name} +(\\S+)$`, 'm').exec(this.output)?.[1]
    assert.ok(found, `the banner names ${name}`)
    return found
  }

  async metric(name: string): Promise<number> {
    const text = await (await fetch(this.url('metrics'))).text()
    return Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)?.[1])
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

async function upstream(t: TestContext, name: string): Promise<number> {
  const server = createServer((_, response) => response.end(name))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

function configuration(port: number, more = ''): string {
  return `
gateway:
  workers: 2
  listeners: [{ name: http, host: 127.0.0.1, port: 0 }]
  metrics: { port: 0 }
  control: { port: 0 }
  timeouts: { drain: 5s }
${more}
routes:
  - { id: a, uri: /a, upstream: { nodes: [{ host: 127.0.0.1, port: ${port}, weight: 1 }] } }
`
}

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-start-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

async function started(t: TestContext, text: string) {
  const file = join(await folder(t), 'sluice.yaml')
  await writeFile(file, text)
  const gateway = new Gateway(['start', '-c', file])
  t.after(() => gateway.process.kill('SIGKILL'))
  await gateway.logged('ready')
  /** As editors do it: another file takes the name. */
  const save = async (next: string) => {
    await writeFile(`${file}.new`, next)
    await rename(`${file}.new`, file)
  }
  return { gateway, save, file }
}

async function body(url: string): Promise<string> {
  return (await fetch(url)).text()
}

test('start, serve, reload a saved file, refuse a bad one, drain', async (t) => {
  const one = await upstream(t, 'one')
  const two = await upstream(t, 'two')
  const { gateway, save } = await started(t, configuration(one))
  const route = `${gateway.url('http')}/a`
  assert.equal(await body(route), 'one')
  assert.match(await body(`${gateway.url('health')}?verbose`), /\[\+\] listening: 2 of 2 data threads/)
  assert.equal(JSON.parse(await body(gateway.url('control'))).resources.routes, 1)

  await save(configuration(two))
  await gateway.logged('new configuration is in use')
  assert.equal(await body(route), 'two')
  assert.equal(await gateway.metric('sluice_config_version'), 2)

  await save(configuration(two, '  colour: green\n  log: { level: shouting }'))
  const refusal = await gateway.logged('NEW CONFIGURATION REFUSED: the gateway goes on with the one it has')
  const findings = String(refusal.findings)
  assert.equal(refusal.level, 'error')
  assert.match(findings, /colour/)
  assert.match(findings, /log\.level/)
  assert.equal(await gateway.metric('sluice_config_rejected_total'), 1)
  assert.equal(await gateway.metric('sluice_config_version'), 2)
  assert.equal(await body(route), 'two')

  gateway.process.kill('SIGTERM')
  assert.equal(await gateway.exited, 0)
})

test('SIGHUP reads the configuration again', async (t) => {
  const { gateway } = await started(t, configuration(1))
  gateway.process.kill('SIGHUP')
  await gateway.logged('the configuration says what is running already')
})

test('a request in flight finishes while new connections are refused', async (t) => {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>()
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const slow = createServer(async (_, response) => {
    arrive()
    await released
    response.end('at last')
  })
  slow.listen(0, '127.0.0.1')
  await once(slow, 'listening')
  t.after(() => slow.close())
  const { gateway } = await started(t, configuration((slow.address() as AddressInfo).port))
  const { port } = new URL(gateway.url('http'))
  const answer = fetch(`${gateway.url('http')}/a`)
  await arrived
  gateway.process.kill('SIGTERM')
  await gateway.logged('stopping: requests in flight may finish')
  assert.equal((await fetch(gateway.url('health'))).status, 503)
  await refused(Number(port))
  release()
  assert.equal(await (await answer).text(), 'at last')
  assert.equal(await gateway.exited, 0)
})

/** Resolves once nobody listens on the port any more. */
async function refused(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const outcome = await new Promise<string>((resolve) => {
      socket.on('connect', () => resolve('open'))
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    })
    socket.destroy()
    if (outcome === 'ECONNREFUSED') return
  }
}

test('a second SIGTERM ends at once, with exit code 1', async (t) => {
  const stuck = createServer(() => {})
  stuck.listen(0, '127.0.0.1')
  await once(stuck, 'listening')
  t.after(() => {
    stuck.closeAllConnections()
    stuck.close()
  })
  const { gateway } = await started(t, configuration((stuck.address() as AddressInfo).port))
  const request = fetch(`${gateway.url('http')}/a`).catch(() => {})
  await once(stuck, 'request')
  gateway.process.kill('SIGTERM')
  await gateway.logged('stopping: requests in flight may finish')
  gateway.process.kill('SIGTERM')
  assert.equal(await gateway.exited, 1)
  await request
})

test('an invalid configuration: every finding on standard error, exit 3', async (t) => {
  const file = join(await folder(t), 'bad.yaml')
  await writeFile(file, 'gateway: { colour: green }\nroutes: [{ id: a }]\n')
  for (const more of [[], ['--check-only']]) {
    const gateway = new Gateway(['start', '-c', file, ...more])
    assert.equal(await gateway.exited, 3)
    assert.match(gateway.errors, /bad\.yaml:1:12: error unknown-field: /)
    assert.match(gateway.errors, /bad\.yaml:2:/)
  }
})

test('--check-only opens nothing; SLUICE_CONFIG names the files', async (t) => {
  const file = join(await folder(t), 'good.yaml')
  await writeFile(file, configuration(1))
  const gateway = new Gateway(['start', '--check-only'], { SLUICE_CONFIG: file })
  assert.equal(await gateway.exited, 0)
  assert.equal(gateway.output, 'The configuration is valid.\n')
})

test('a port that is taken: exit 1, and which', async (t) => {
  const port = await upstream(t, 'in the way')
  const file = join(await folder(t), 'sluice.yaml')
  await writeFile(
    file,
    configuration(1).replace('host: 127.0.0.1, port: 0', `host: 127.0.0.1, port: ${port}`),
  )
  const gateway = new Gateway(['start', '-c', file])
  assert.equal(await gateway.exited, 1)
  assert.match(gateway.errors, new RegExp(`EADDRINUSE.*:${port}`))
})
