/**
 * A gateway under load from a real client, while an endpoint dies, a data thread is replaced, the configuration is
 * reloaded two hundred times, and everything is drained at the end. Every request carries an id; the upstreams keep the
 * list of what they received.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { Agent, request } from 'undici'
import { noDisk, Store } from '../../src/admin/api/store.ts'
import { check } from '../../src/config/check.ts'
import { load } from '../../src/config/load.ts'
import { Gateway } from '../../src/control-thread.ts'
import { catalogue, policySchemas } from '../../src/policies/index.ts'
import { SpareThreads } from '../../src/proxy/spare-threads.ts'
import { createLog } from '../../src/telemetry/log.ts'

const clients = 16
const reloads = 200

/** An upstream that remembers which request ids it got, and answers with its own name. */
class Recorder {
  readonly name: string
  readonly received: string[] = []
  port = 0
  readonly #server: http.Server

  constructor(name: string) {
    this.name = name
    this.#server = http.createServer((request, response) => {
      const id = String(request.headers['x-id'])
      this.received.push(id)
      request.resume()
      request.on('end', () => {
        setTimeout(() => response.end(`${this.name} ${id}`), 2)
      })
    })
  }

  async listen(): Promise<void> {
    this.#server.listen(this.port, '127.0.0.1')
    await once(this.#server, 'listening')
    this.port = (this.#server.address() as AddressInfo).port
  }

  /** As when its process is killed: connections break off, nothing listens any more. */
  async kill(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
    await once(this.#server, 'close')
  }
}

interface Answer {
  id: string
  method: string
  api: string
  status: number
  body: string
  error?: string
}

/** Sends requests over keep-alive connections until told to stop. */
class Load {
  readonly answers: Answer[] = []
  /** Ids of requests that have no answer yet. */
  readonly inFlight = new Set<string>()
  #running = true
  #count = 0
  readonly #agent = new Agent({ connections: clients, pipelining: 1, keepAliveTimeout: 30_000 })
  readonly #senders: Promise<void>[]

  constructor(origin: string) {
    this.#senders = Array.from({ length: clients }, () => this.#send(origin))
  }

  /** Resolves after so many more answers. */
  async more(count: number): Promise<void> {
    const wanted = this.answers.length + count
    while (this.answers.length < wanted) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  async stop(): Promise<void> {
    this.#running = false
    await Promise.all(this.#senders)
    await this.#agent.close()
  }

  async #send(origin: string): Promise<void> {
    while (this.#running) {
      const id = `r${this.#count++}`
      const api = this.#count % 3 === 0 ? 'solo' : 'pair'
      const method = this.#count % 4 === 0 ? 'POST' : 'GET'
      const answer: Answer = { id, method, api, status: 0, body: '' }
      this.inFlight.add(id)
      try {
        const response = await request(`${origin}/${api}/${id}`, {
          dispatcher: this.#agent,
          method,
          headers: { 'x-id': id },
          ...(method === 'POST' && { body: `body of ${id}` }),
        })
        answer.status = response.statusCode
        answer.body = await response.body.text()
      } catch (error) {
        answer.error = (error as NodeJS.ErrnoException).code ?? String(error)
      }
      this.inFlight.delete(id)
      this.answers.push(answer)
    }
  }
}

async function start(t: TestContext, text: (revision: number) => string) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-survival-'))
  const file = join(folder, 'sluice.yaml')
  let revision = 0
  const save = () => writeFile(file, text(revision++))
  await save()
  const read = async () => check(await load([file], {}), policySchemas(catalogue), { gatewayVersion: 'test' })
  const { plan, configuration, findings } = await read()
  assert.ok(plan && configuration, JSON.stringify(findings))
  const threads = new SpareThreads(new URL('../../src/data-thread.ts', import.meta.url), 2)
  const gateway = new Gateway({
    plan,
    configuration,
    catalogue: policySchemas(catalogue),
    store: new Store(noDisk),
    log: createLog('error', new Writable({ write: (_chunk, _encoding, done) => done() })),
    read,
    threads,
  })
  const { listeners } = await gateway.start()
  t.after(async () => {
    await gateway.stop()
    await rm(folder, { recursive: true })
  })
  const reload = async () => {
    await save()
    await gateway.reload()
  }
  return { gateway, reload, origin: `http://127.0.0.1:${listeners[0]?.port}` }
}

test('no request is lost, duplicated or answered by the wrong upstream', { timeout: 120_000 }, async (t) => {
  const [solo, left, right] = ['solo', 'left', 'right'].map((name) => new Recorder(name)) as [
    Recorder,
    Recorder,
    Recorder,
  ]
  const upstreams = [solo, left, right]
  await Promise.all(upstreams.map((upstream) => upstream.listen()))
  t.after(() => Promise.all(upstreams.map((upstream) => upstream.kill())))
  const { gateway, reload, origin } = await start(
    t,
    (revision) => `
gateway:
  workers: 2
  listeners: [{ name: http, host: 127.0.0.1, port: 0 }]
  metrics: { enabled: false }
  control: { enabled: false }
  timeouts: { drain: 10s }
upstreams:
  - { id: solo, nodes: { '127.0.0.1:${solo.port}': 1 } }
  - { id: pair, nodes: { '127.0.0.1:${left.port}': 1, '127.0.0.1:${right.port}': 1 } }
routes:
  - { id: solo, uri: /solo/*, upstream_id: solo, desc: revision ${revision} }
  - { id: pair, uri: /pair/*, upstream_id: pair, priority: ${revision} }
  - { id: other-${revision}, uri: /other/${revision}, upstream_id: solo }
`,
  )
  const load = new Load(origin)
  await load.more(200)

  for (let n = 0; n < reloads; n++) await reload()
  await load.more(200)

  // The endpoint may have begun any of these: what lies unread in its sockets is lost with it.
  const begunAtDeath = new Set(load.inFlight)
  await left.kill()
  for (const id of load.inFlight) begunAtDeath.add(id)
  await load.more(400)
  await left.listen()

  await gateway.restartThread(1)
  await gateway.restartThread(2)
  await load.more(200)

  const sentBeforeDrain = load.answers.length
  const drained = gateway.drain()
  await load.more(clients)
  await load.stop()
  await drained

  const received = new Map<string, string[]>()
  for (const upstream of upstreams) {
    for (const id of upstream.received) received.set(id, [...(received.get(id) ?? []), upstream.name])
  }
  const failed = load.answers.filter(({ status, error, id }) => {
    // After the listeners closed, a new connection is refused: such a request was never begun.
    const refused = error === 'ECONNREFUSED' && !received.has(id)
    return status !== 200 && !refused
  })
  assert.ok(failed.length <= clients, `${failed.length} requests failed`)
  const unexplained = failed.filter(({ id, api }) => api !== 'pair' || !begunAtDeath.has(id))
  assert.deepEqual(unexplained, [], `${failed.length} of ${load.answers.length} failed`)
  for (const { id, method, api, status, body } of load.answers) {
    if (status !== 200) continue
    const names = received.get(id) ?? []
    const [name] = body.split(' ') as [string]
    assert.equal(body, `${name} ${id}`, 'the answer belongs to another request')
    assert.ok(api === 'solo' ? name === 'solo' : name !== 'solo', `${id} of ${api} was answered by ${name}`)
    if (method === 'POST') assert.equal(names.length, 1, `${id} reached ${names.join(' and ')}`)
    else assert.ok(names.length === 1 || begunAtDeath.has(id), `${id} reached ${names.join(' and ')}`)
  }
  assert.ok(sentBeforeDrain > 1000, `only ${sentBeforeDrain} requests were sent`)
  assert.ok(left.received.length > 100 && right.received.length > 100, 'both endpoints took part')
})
