import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { planOf } from '../../test/threads/plan.ts'
import type { PlanChanges, PlanDelta, RouteSpec, UpstreamSpec } from '../config/plan.ts'
import { SpareThreads } from './spare-threads.ts'
import { type HealthWatch, type Secrets, Supervisor, type ThreadObserver } from './supervisor.ts'
import type { DiscoveredNode } from './upstream/discovery/discovered-node.ts'
import type { UpstreamSlots } from './upstream/health/slots.ts'
import { createHealthTable } from './upstream/health/table.ts'
import type { AddressBook, NodeBook } from './whereabouts.ts'

const stub = new URL('../../test/threads/stub-data-thread.ts', import.meta.url)

interface LogLine {
  level: string
  fields: Record<string, unknown>
  message: string
}

function plan(routes: string[], gateway = ''): ReturnType<typeof planOf> {
  const nodes = '{ nodes: [{ host: 127.0.0.1, port: 1, weight: 1 }] }'
  return planOf(`
gateway:
  workers: 2
  listeners: [{ name: http, host: 127.0.0.1, port: 0 }]
  timeouts: { drain: 300ms }
${gateway}
routes:
${routes.map((id) => `  - { id: ${id}, uri: /${id}, upstream: ${nodes} }`).join('\n')}
`)
}

/** Names resolve to what the test set. */
class FixedAddresses implements AddressBook {
  readonly known = new Map<string, readonly string[]>()
  watched: string[] = []
  change: (host: string, addresses: readonly string[]) => void = () => {}

  async watch(hosts: ReadonlySet<string>): Promise<void> {
    const added = [...hosts].filter((host) => !this.watched.includes(host))
    this.watched = [...hosts].toSorted()
    for (const host of added) this.change(host, this.known.get(host) ?? [])
  }

  addresses() {
    return this.watched.map((host) => [host, this.known.get(host) ?? []] as const)
  }

  onChange(listener: (host: string, addresses: readonly string[]) => void): void {
    this.change = listener
  }
}

/** Services have the nodes that the test set. */
class FixedNodes implements NodeBook {
  readonly known = new Map<string, readonly DiscoveredNode[]>()
  watched = new Map<string, string>()
  change: (service: string, nodes: readonly DiscoveredNode[] | null) => void = () => {}

  async watch(_: unknown, services: ReadonlyMap<string, { service_name: string }>): Promise<void> {
    for (const key of this.watched.keys()) if (!services.has(key)) this.change(key, null)
    this.watched = new Map(Array.from(services, ([key, { service_name: name }]) => [key, name]))
  }

  nodes() {
    return Array.from(this.watched, ([key, name]) => [key, this.known.get(name) ?? []] as const)
  }

  onChange(listener: (service: string, nodes: readonly DiscoveredNode[] | null) => void): void {
    this.change = listener
  }
}

/** Remembers what it is told, and gives every upstream of a plan a slot. */
class RecordedHealth implements HealthWatch {
  readonly memory = createHealthTable(16)
  readonly calls: string[] = []
  #listener: (slots: UpstreamSlots) => void = () => {}

  prepare(added: readonly UpstreamSpec[]): void {
    this.calls.push(`prepare ${keys(added)}`)
    for (const { key } of added) this.#listener({ upstream: key, slot: 2, endpoints: [] })
  }

  follow(added: readonly UpstreamSpec[], gone: readonly UpstreamSpec[]): void {
    this.calls.push(`follow ${keys(added)} instead of ${keys(gone)}`)
  }

  moved({ type }: { type: string }): void {
    this.calls.push(type)
  }

  slots() {
    return [{ upstream: 'upstream:1', slot: 1, endpoints: [['127.0.0.1', 80, 2] as const] }]
  }

  onSlots(listener: (slots: UpstreamSlots) => void): void {
    this.#listener = listener
  }
}

/** A secret is a route of its own, beside those that a delta puts, so that threads can tell which one they have. */
class RecordedSecrets implements Secrets {
  value = 'first'
  readonly bound: string[] = []
  renewed: () => void = () => {}
  #changes: PlanChanges = { put: {}, remove: {} }

  async bind(delta: PlanDelta): Promise<PlanDelta> {
    const routes = delta.put.routes ?? []
    this.bound.push(`${routes.map(({ id }) => id).join()} without ${(delta.remove.routes ?? []).join()}`)
    if (routes.length === 0) return delta
    return { ...delta, put: { ...delta.put, routes: [...routes, this.#secret(routes[0]!)] } }
  }

  change(value: string, example: RouteSpec): void {
    this.value = value
    this.#changes = { put: { routes: [this.#secret(example)] }, remove: {} }
    this.renewed()
  }

  takeChanges(): PlanChanges {
    const changes = this.#changes
    this.#changes = { put: {}, remove: {} }
    return changes
  }

  onChange(listener: () => void): void {
    this.renewed = listener
  }

  #secret(example: RouteSpec): RouteSpec {
    return { ...example, id: `secret ${this.value}` }
  }
}

function keys(upstreams: readonly UpstreamSpec[]): string {
  return upstreams.map(({ key }) => key).join()
}

async function startedSupervisor(
  t: TestContext,
  first = plan(['a']),
  secrets?: Secrets,
  more: { oldVersions?: number } = {},
) {
  const lines: LogLine[] = []
  const output: string[] = []
  const events: string[] = []
  const write = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, fields: { ...fields }, message })
  const log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const observer: ThreadObserver = {
    threadStarted: (threadId) => events.push(`start ${threadId}`),
    threadEnded: (threadId) => events.push(`end ${threadId}`),
    announced: () => {},
    lines: (text) => output.push(text),
    metrics: () => Promise.reject(new Error('the test has no metrics')),
  }
  const addressBook = new FixedAddresses()
  const nodeBook = new FixedNodes()
  const health = new RecordedHealth()
  const supervisor = new Supervisor({
    plan: first,
    threads: new SpareThreads(stub, 1),
    addressBook,
    nodeBook,
    health,
    ...(secrets !== undefined && { secrets }),
    observer,
    log,
    limitTableBytes: 512,
    ...more,
  })
  t.after(() => supervisor.stop())
  const logged = async (message: string, times = 1) => {
    await until(() => lines.filter((line) => line.message === message).length >= times, message)
  }
  await supervisor.start()
  return { supervisor, addressBook, nodeBook, health, lines, output, events, logged }
}

interface StubState {
  threadId: number
  version: number
  routes: string[]
  bodyLimit: number
  addresses: Record<string, string[]>
  nodes: string[]
  slots: [string, number][]
}

async function ask(supervisor: Supervisor): Promise<StubState> {
  const socket = connect(supervisor.status.ports.get('http')!, '127.0.0.1')
  let text = ''
  for await (const chunk of socket) text += chunk
  return JSON.parse(text)
}

/** The kernel picks the thread, so it takes a few connections to meet both. */
async function askBoth(supervisor: Supervisor): Promise<StubState[]> {
  const states = new Map<number, StubState>()
  for (let i = 0; i < 200 && states.size < 2; i++) {
    const state = await ask(supervisor)
    states.set(state.threadId, state)
  }
  assert.equal(states.size, 2, 'both threads answer')
  return [...states.values()]
}

/** Once both threads live; one that is on its last legs may still take a connection and drop it. */
async function askBothSoon(supervisor: Supervisor): Promise<StubState[]> {
  const states = new Map<number, StubState>()
  const end = Date.now() + 10_000
  while (states.size < 2) {
    assert.ok(Date.now() < end, 'waited too long for both threads')
    const state = await ask(supervisor).catch(() => undefined)
    if (state !== undefined) states.set(state.threadId, state)
  }
  return [...states.values()]
}

async function hold(supervisor: Supervisor): Promise<Socket> {
  const socket = connect(supervisor.status.ports.get('http')!, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 10_000
  while (!condition()) {
    assert.ok(Date.now() < end, `waited too long: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

test('all threads share the chosen port and run the plan', async (t) => {
  const { supervisor } = await startedSupervisor(t)
  assert.equal(supervisor.ready, true)
  for (const state of await askBoth(supervisor)) {
    assert.deepEqual([state.version, state.routes], [1, ['a']])
  }
})

test('secrets go to threads with every plan, also back and to a replacement, and alone when they change', async (t) => {
  const secrets = new RecordedSecrets()
  const first = plan(['a'])
  const { supervisor, logged } = await startedSupervisor(t, first, secrets)
  for (const { routes } of await askBoth(supervisor)) assert.deepEqual(routes, ['a', 'secret first'])
  assert.deepEqual([...supervisor.plan.routes.keys()], ['a'], 'the plan knows none')

  secrets.change('second', first.routes.get('a')!)
  await logged('changed secrets are in use')
  for (const { version, routes } of await askBoth(supervisor)) {
    assert.deepEqual([version, routes], [2, ['a', 'secret first', 'secret second']])
  }
  secrets.renewed()
  assert.deepEqual(await supervisor.apply(plan(['a', 'b'])), {
    outcome: 'applied',
    version: 3,
    changes: { routes: 1 },
  })
  assert.equal(supervisor.status.version, 3, 'nothing to renew is no new version')

  const { outcome } = await supervisor.apply(plan(['a', 'b', 'refused-by-2']))
  assert.equal(outcome, 'refused')
  assert.deepEqual(secrets.bound, [
    'a without ',
    'b without ',
    'refused-by-2 without ',
    ' without refused-by-2',
  ])

  await supervisor.restartThread(1)
  assert.equal(secrets.bound.at(-1), 'a,b without ')
})

test('a start that one thread refuses leaves nothing behind', async (t) => {
  const { promise: refused, resolve } = Promise.withResolvers<unknown>()
  startedSupervisor(t, plan(['refused-at-start'])).catch(resolve)
  assert.match(String(await refused), /cannot be compiled/)
})

test('a port that somebody listens on fails the start, also when that is a gateway of the same user', async (t) => {
  const other = createServer()
  other.listen({ host: '127.0.0.1', port: 0, reusePort: true })
  await once(other, 'listening')
  t.after(() => other.close())
  const { port } = other.address() as { port: number }
  const taken = plan(['a'])
  taken.settings.listeners = [{ name: 'http', host: '127.0.0.1', port, protocol: 'http' }]
  await assert.rejects(startedSupervisor(t, taken), { code: 'EADDRINUSE' })
})

test('threads with too much old code are restarted one after another, while the other takes the traffic', async (t) => {
  const withCode = (version: number) => {
    const next = plan(['a'])
    next.settings.functions.modules = [{ name: 'a.ts', url: `file:///a.ts?${version}` }]
    return next
  }
  const { supervisor, lines } = await startedSupervisor(t, withCode(0), undefined, { oldVersions: 2 })
  const restarts = () =>
    lines.filter(({ message }) => message === 'data thread restarts to let go of old code')
  const least = { listening: 2 }
  const replaced = () => lines.filter(({ message }) => message === 'data thread was replaced').length
  await supervisor.apply(withCode(1))
  assert.equal(restarts().length, 0)
  await supervisor.apply(withCode(2))
  await until(() => {
    const listening = supervisor.status.threads.filter((thread) => thread.listening).length
    least.listening = Math.min(least.listening, listening)
    return replaced() === 2
  }, 'both threads were replaced')
  assert.deepEqual(
    restarts().map(({ fields }) => fields),
    [
      { thread: 1, oldVersions: 2 },
      { thread: 2, oldVersions: 2 },
    ],
  )
  assert.equal(least.listening, 1, 'one was there all the time')
  assert.equal(supervisor.status.restarts, 0, 'nobody died')
  await supervisor.apply(withCode(3))
  assert.equal(restarts().length, 2, 'they hold one old version each')
})

test('a thread that is alone is not restarted for its old code', async (t) => {
  const alone = (version: number) => {
    const next = plan(['a'])
    next.settings.workers = 1
    next.settings.functions.modules = [{ name: 'a.ts', url: `file:///a.ts?${version}` }]
    return next
  }
  const { supervisor, lines } = await startedSupervisor(t, alone(0), undefined, { oldVersions: 1 })
  for (const version of [1, 2, 3]) await supervisor.apply(alone(version))
  assert.equal(
    lines.some(({ message }) => /restarts/.test(message)),
    false,
  )
})

test('a new plan is put to work in all threads, and the next one too', async (t) => {
  const { supervisor } = await startedSupervisor(t)
  const result = await supervisor.apply(plan(['a', 'b']))
  assert.deepEqual(result, { outcome: 'applied', version: 2, changes: { routes: 1 } })
  await supervisor.apply(plan(['b']))
  for (const state of await askBoth(supervisor)) {
    assert.deepEqual([state.version, state.routes], [3, ['b']])
  }
  assert.equal(supervisor.status.version, 3)
})

test('an equal plan changes nothing', async (t) => {
  const { supervisor } = await startedSupervisor(t)
  assert.deepEqual(await supervisor.apply(plan(['a'])), { outcome: 'unchanged', version: 1 })
})

test('when one thread refuses, all run the plan they had', async (t) => {
  const { supervisor } = await startedSupervisor(t)
  const result = await supervisor.apply(plan(['a', 'b', 'refused-by-2']))
  assert.deepEqual(result, { outcome: 'refused', reason: 'this plan cannot be compiled' })
  for (const state of await askBoth(supervisor)) {
    assert.deepEqual([state.version, state.routes], [1, ['a']])
  }
  assert.equal((await supervisor.apply(plan(['c']))).outcome, 'applied')
})

test('a plan that kills a thread is taken back, and the thread is replaced with the old plan', async (t) => {
  const { supervisor, logged } = await startedSupervisor(t)
  const result = await supervisor.apply(plan(['a', 'mute-and-die-in-1']))
  assert.equal(result.outcome, 'refused')
  await logged('data thread was replaced')
  for (const state of await askBoth(supervisor)) assert.deepEqual(state.routes, ['a'])
})

test('settings that can change while running do; the others wait for a restart and say so', async (t) => {
  const { supervisor, lines } = await startedSupervisor(t)
  const { data_dir: folder } = supervisor.plan.settings
  const wanted = plan(['a'], '  limits: { body: 1MiB }')
  wanted.settings.data_dir = '/elsewhere'
  wanted.settings.workers = 5
  await supervisor.apply(wanted)
  for (const state of await askBoth(supervisor)) assert.equal(state.bodyLimit, 1024 * 1024)
  assert.equal(supervisor.plan.settings.data_dir, folder)
  assert.deepEqual(
    // A busy machine may add what the watchdog says.
    lines
      .filter(({ level, fields }) => level === 'warn' && !('silentMs' in fields))
      .map(({ message }) => message),
    ['changed settings that take effect at the next start'],
  )
})

test('a thread that dies is replaced, and what it held is given back', async (t) => {
  const { supervisor, logged, events } = await startedSupervisor(t)
  await supervisor.apply(plan(['a', 'crash-in-2']))
  await logged('data thread ended, it will be replaced')
  assert.equal(supervisor.status.openConnections, 0)
  // Without the crashing route, the next replacement lives.
  await supervisor.apply(plan(['a']))
  assert.equal((await askBothSoon(supervisor)).length, 2)
  assert.ok(supervisor.status.restarts >= 1)
  assert.deepEqual(events.slice(0, 4), ['start 1', 'start 2', 'end 2', 'start 2'])
})

test('a thread that keeps dying waits longer each time, leaves the others alone, and is cured by a plan', async (t) => {
  const { supervisor, logged, lines } = await startedSupervisor(t)
  await supervisor.apply(plan(['a', 'crash-in-2']))
  await logged('data thread ended, it will be replaced', 4)
  assert.deepEqual(lines.flatMap(({ fields }) => fields.restartInMs ?? []).slice(0, 4), [0, 100, 200, 400])
  assert.equal(supervisor.ready, true)
  assert.equal((await ask(supervisor)).threadId, 1)
  assert.equal((await supervisor.apply(plan(['a']))).outcome, 'applied')
  for (const state of await askBothSoon(supervisor)) assert.deepEqual(state.routes, ['a'])
})

test('a thread that is ended from outside is replaced at once, while the other one serves', async (t) => {
  const { supervisor, logged } = await startedSupervisor(t)
  await supervisor.endThread(1)
  assert.equal(supervisor.ready, true)
  assert.equal((await ask(supervisor)).threadId, 2)
  await logged('data thread was replaced')
  assert.equal((await askBoth(supervisor)).length, 2)
  assert.equal(supervisor.status.restarts, 1)
})

test('addresses reach the threads at their start, with a plan that needs them, and when they change', async (t) => {
  const named = (host: string) =>
    planOf(`
gateway: { workers: 2, listeners: [{ name: http, host: 127.0.0.1, port: 0 }] }
routes: [{ id: a, uri: /a, upstream: { nodes: [{ host: ${host}, port: 80, weight: 1 }, { host: 10.0.0.1, port: 80, weight: 1 }] } }]
`)
  const { supervisor, addressBook } = await startedSupervisor(t, named('one.test'))
  assert.deepEqual(addressBook.watched, ['one.test'])
  addressBook.known.set('two.test', ['10.0.0.2'])
  await supervisor.apply(named('two.test'))
  assert.deepEqual(addressBook.watched, ['two.test'])
  for (const { addresses } of await askBoth(supervisor)) {
    assert.deepEqual(addresses, { 'one.test': [], 'two.test': ['10.0.0.2'] })
  }
  addressBook.change('two.test', ['10.0.0.3'])
  // Orders are handled in turn: once a later plan runs, the addresses are there.
  await supervisor.apply(named('three.test'))
  for (const { addresses } of await askBoth(supervisor)) assert.deepEqual(addresses['two.test'], ['10.0.0.3'])
})

const discovered = (service: string, more = '') =>
  planOf(`
gateway:
  workers: 2
  listeners: [{ name: http, host: 127.0.0.1, port: 0 }]
  discovery: { dns: { servers: [127.0.0.1] } }
routes:
  - { id: a, uri: /a, upstream: { service_name: ${service}, discovery_type: dns } }
${more}`)

test('nodes of services reach the threads at their start, with a plan that needs them, and when they change', async (t) => {
  const { supervisor, nodeBook } = await startedSupervisor(t, discovered('one'))
  nodeBook.known.set('two', [{ host: '10.0.0.2', weight: 1 }])
  const [one] = nodeBook.watched.keys()
  nodeBook.change(one!, [{ host: '10.0.0.1', weight: 1 }])
  await supervisor.apply(discovered('two'))
  assert.deepEqual([...nodeBook.watched.values()], ['two'])
  const [two] = nodeBook.watched.keys()
  nodeBook.change(two!, [{ host: '10.0.0.3', weight: 1 }])
  // Orders are handled in turn: once a later plan runs, the nodes are there, and those that nobody asks for are not.
  await supervisor.apply(
    discovered('two', '  - { id: b, uri: /b, upstream: { nodes: { "10.0.0.1:1": 1 } } }'),
  )
  for (const { nodes } of await askBoth(supervisor)) assert.deepEqual(nodes, ['10.0.0.3'])
})

test('a thread that takes the place of another knows the nodes', async (t) => {
  const { supervisor, nodeBook, logged } = await startedSupervisor(t, discovered('one'))
  nodeBook.known.set('one', [{ host: '10.0.0.1', weight: 1 }])
  await supervisor.endThread(1)
  await logged('data thread was replaced')
  const replaced = (await askBoth(supervisor)).find(({ threadId }) => threadId === 1)
  assert.deepEqual(replaced?.nodes, ['10.0.0.1'])
})

test('a plan that is refused leaves the services as they were', async (t) => {
  const { supervisor, nodeBook } = await startedSupervisor(t, discovered('one'))
  const upstream = '{ service_name: two, discovery_type: dns }'
  const refused = discovered('one', `  - { id: refused-by-2, uri: /b, upstream: ${upstream} }`)
  assert.equal((await supervisor.apply(refused)).outcome, 'refused')
  assert.deepEqual([...nodeBook.watched.values()], ['one'])
})

test('a service is followed as long as any upstream names it', async (t) => {
  const other = '  - { id: b, uri: /b, upstream: { service_name: one, discovery_type: dns } }'
  const { supervisor, nodeBook } = await startedSupervisor(t, discovered('one', other))
  await supervisor.apply(discovered('one'))
  assert.deepEqual([...nodeBook.watched.values()], ['one'])
  await supervisor.apply(plan(['a']))
  assert.deepEqual([...nodeBook.watched.values()], [])
})

test('nodes that are names come after their addresses', async (t) => {
  const { supervisor, addressBook, nodeBook } = await startedSupervisor(t, discovered('one'))
  addressBook.known.set('node.test', ['10.0.0.9'])
  nodeBook.known.set('one', [{ host: 'node.test', weight: 1 }])
  nodeBook.change([...nodeBook.watched.keys()][0]!, [{ host: 'node.test', weight: 1 }])
  await until(() => addressBook.watched.includes('node.test'), 'the name is followed')
  await supervisor.apply(
    discovered('one', '  - { id: b, uri: /b, upstream: { nodes: { "10.0.0.1:1": 1 } } }'),
  )
  for (const { nodes, addresses } of await askBoth(supervisor)) {
    assert.deepEqual([nodes, addresses], [['node.test'], { 'node.test': ['10.0.0.9'] }])
  }
})

test('slots of health reach the threads at their start, and before a plan that needs them', async (t) => {
  const { supervisor, addressBook, health } = await startedSupervisor(t)
  for (const state of await askBoth(supervisor)) assert.deepEqual(state.slots, [['upstream:1', 1]])
  await supervisor.apply(plan(['b']))
  for (const state of await askBoth(supervisor)) {
    assert.deepEqual(state.slots, [
      ['upstream:1', 1],
      ['route:b', 2],
    ])
  }
  await supervisor.apply(plan(['b', 'refused-by-2']))
  addressBook.change('users.internal', ['10.0.0.1'])
  assert.deepEqual(health.calls, [
    'prepare route:a',
    'follow route:a instead of ',
    'prepare route:b',
    'follow route:b instead of route:a',
    'prepare route:refused-by-2',
    'follow  instead of route:refused-by-2',
    'addresses',
  ])
})

test('a drain lets what is in flight finish, refuses new connections, and passes on the last lines', async (t) => {
  const { supervisor, output } = await startedSupervisor(t, plan(['hold'], ''))
  const socket = await hold(supervisor)
  const port = supervisor.status.ports.get('http')!
  const drained = supervisor.drain()
  assert.equal(supervisor.ready, false)
  setTimeout(() => socket.destroy(), 50)
  await drained
  assert.equal(supervisor.status.state, 'stopped')
  assert.deepEqual(output.toSorted(), ['last line of 1\n', 'last line of 2\n'])
  await assert.rejects(once(connect(port, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' })
})

test('a drain ends after its grace, whatever is still in flight', async (t) => {
  const { supervisor } = await startedSupervisor(t, plan(['hold']))
  const socket = await hold(supervisor)
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await supervisor.drain()
  assert.equal(supervisor.status.state, 'stopped')
  await closed
})

test('threads are told to reopen their logs', async (t) => {
  const { supervisor, logged } = await startedSupervisor(t)
  supervisor.reopenLogs()
  await logged('reopened', 2)
})

test('run-time state is that of all threads and of what they share', async (t) => {
  const { supervisor } = await startedSupervisor(t)
  supervisor.state.add({ kind: 'caches', count: () => 5, clear: () => 4 })
  assert.deepEqual(await supervisor.stateCounts(), { limits: 0, breakers: 0, balancers: 3, caches: 5 })
  assert.deepEqual(await supervisor.clearState({ kinds: ['balancers', 'caches'] }), {
    balancers: 3,
    caches: 4,
  })
})

test('a thread that ends over a question has no answer; one that cannot answer says so', async (t) => {
  const { supervisor } = await startedSupervisor(t, plan(['dies-of-questions-in-2']))
  assert.deepEqual(await supervisor.askAll('state-counts', undefined), [{ balancers: 1 }])
  await supervisor.apply(plan(['knows-nothing']))
  await assert.rejects(supervisor.askAll('state-counts', undefined), /I do not know/)
  await assert.rejects(supervisor.ask('state-counts', undefined), /I do not know/)
})
