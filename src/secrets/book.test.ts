import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { diffPlans } from '../config/diff.ts'
import {
  type ConsumerSpec,
  type Plan,
  type PlanDelta,
  type PlanResources,
  type PluginSetSpec,
  type Plugins,
  resourceKinds,
} from '../config/plan.ts'
import { Type } from '../config/type.ts'
import { SecretBook } from './book.ts'
import type { Clock } from './clock.ts'
import type { Managers, Resolution, SecretReader } from './reader.ts'
import { type FailureKind, SecretFailure } from './secret.ts'

/** Time that stands still until it is turned. */
class FakeClock implements Clock {
  #now = 1_000_000
  readonly #calls: { at: number; call: () => void }[] = []

  now(): number {
    return this.#now
  }

  after(ms: number, call: () => void): () => void {
    const entry = { at: this.#now + ms, call }
    this.#calls.push(entry)
    return () => this.#calls.splice(this.#calls.indexOf(entry), this.#calls.includes(entry) ? 1 : 0)
  }

  /** Milliseconds until the next call. */
  get next(): number {
    return Math.min(...this.#calls.map(({ at }) => at)) - this.#now
  }

  async advance(ms: number): Promise<void> {
    this.#now += ms
    for (const entry of this.#calls.filter(({ at }) => at <= this.#now)) {
      this.#calls.splice(this.#calls.indexOf(entry), 1)
      entry.call()
    }
    await new Promise(setImmediate)
  }
}

/** Managers as a map of what references lead to. */
class FakeReader {
  timeout = 0
  readonly values = new Map<string, string | SecretFailure>()
  readonly asked: string[] = []
  retained: Managers | undefined

  async resolveAll<T extends { readonly text: string }>(
    references: readonly T[],
    managers: Managers,
    known: (reference: T, resolution: Resolution) => void,
  ): Promise<void> {
    for (const reference of references) {
      await undefined
      this.asked.push(reference.text)
      const [, , kind = '', id = ''] = reference.text.split('/')
      const value = this.values.get(reference.text)
      const isThere = managers.has(`${kind}/${id}`)
      if (typeof value === 'string' && isThere) known(reference, { value })
      else known(reference, { failure: value instanceof SecretFailure ? value : fails('absent') })
    }
  }

  retain(managers: Managers): void {
    this.retained = managers
  }
}

const fails = (kind: FailureKind) => new SecretFailure(kind, `it is ${kind}`)

const catalogue = new Map(
  [
    {
      name: 'auth',
      identify: true,
      configSchema: Type.Object({ header: Type.Optional(Type.String({ maxLength: 8 })) }),
      credentialSchema: Type.Object({ key: Type.String() }),
    },
    {
      name: 'call',
      identify: false,
      configSchema: Type.Object({
        token: Type.String({ minLength: 3 }),
        times: Type.Optional(Type.Integer()),
      }),
      metadataSchema: Type.Object({ pepper: Type.String() }),
      validate: ({ token }: { token?: unknown }) =>
        token === 'forbidden' ? 'forbidden is not allowed' : undefined,
    },
  ].map((policy) => [policy.name, policy]),
)

const one = '$secret://vault/1/one'
const two = '$secret://vault/1/two'
const manager = { id: 'vault/1', uri: 'http://a' }

function setUp(values: Record<string, string | SecretFailure>) {
  const clock = new FakeClock()
  const reader = new FakeReader()
  for (const [text, value] of Object.entries(values)) reader.values.set(text, value)
  const logged: string[] = []
  const note = (level: string) => (fields: object, message: string) =>
    void logged.push(`${level} ${message} ${JSON.stringify(fields)}`)
  const book = new SecretBook({
    reader: reader as unknown as SecretReader,
    catalogue,
    zones: new Map(),
    settings: { ttl: 300, failure_ttl: 60, timeout: 5, unresolved: 'deny' },
    clock,
    log: { info: note('info'), warn: note('warn'), error: note('error') },
  })
  let told = 0
  book.onChange(() => told++)
  let running: Plan | null = null
  return {
    book,
    clock,
    reader,
    logged,
    told: () => told,
    /** Puts a plan to work, and answers what data threads get of it. */
    async apply(resources: Partial<PlanResources>): Promise<PlanDelta> {
      const next = { ...empty(), ...resources } as Plan
      const delta = diffPlans(running, next)
      running = next
      return book.bind(delta)
    },
  }
}

function empty(): Plan {
  const maps = Object.fromEntries(resourceKinds.map((kind) => [kind, new Map()])) as unknown as PlanResources
  return { ...maps, version: 1, settings: { secrets: { ttl: 300, failure_ttl: 60, timeout: 5 } } } as Plan
}

const managers = (spec: object = manager) => new Map([['vault/1', spec as typeof manager]])
const rules = (plugins: Plugins, id = 'g') => new Map<string, PluginSetSpec>([[id, { id, plugins }]])
const consumers = (spec: Omit<ConsumerSpec, 'username'>) =>
  new Map<string, ConsumerSpec>([['jack', { username: 'jack', ...spec }]])

/** What data threads get of the one rule. */
const rule = (delta: Pick<PlanDelta, 'put'>) => delta.put.global_rules?.[0]?.plugins.call

suite('what data threads get', () => {
  test('has values in place of references, and no managers', async () => {
    const { apply } = setUp({ [one]: 'value', [two]: 'other' })
    const written = { call: { token: one, _meta: { error_response: two } }, plain: { a: 1 } }
    const bound = await apply({ secrets: managers(), global_rules: rules(written) })
    assert.equal(bound.put.secrets, undefined)
    assert.deepEqual(bound.put.global_rules, [
      {
        id: 'g',
        plugins: {
          call: { token: 'value', _meta: { error_response: 'other', secrets: 'present' } },
          plain: { a: 1 },
        },
      },
    ])
    assert.equal(written.call.token, one)
  })

  test('has credentials and metadata with values too', async () => {
    const { apply } = setUp({ [one]: 'value' })
    const bound = await apply({
      secrets: managers(),
      consumers: consumers({
        plugins: { auth: { key: one } },
        credentials: [{ id: 'c', plugins: { auth: { key: one } } }],
      }),
      plugin_metadata: rules({ call: { pepper: one } }, 'call'),
    })
    const auth = { key: 'value', _meta: { secrets: 'present' } }
    assert.deepEqual(bound.put.consumers, [
      { username: 'jack', plugins: { auth }, credentials: [{ id: 'c', plugins: { auth } }] },
    ])
    assert.deepEqual(bound.put.plugin_metadata, [
      { id: 'call', plugins: { call: { pepper: 'value', _meta: { secrets: 'present' } } } },
    ])
  })

  test('has nothing left of a configuration without its secret: the reference never stands for it', async () => {
    const { apply, logged } = setUp({ [one]: fails('unavailable'), [two]: 'value' })
    const bound = await apply({
      secrets: managers(),
      global_rules: rules({ call: { token: one, times: 3, _meta: { priority: 7, error_response: two } } }),
      consumers: consumers({ plugins: { auth: { key: one } }, credentials: [] }),
    })
    assert.deepEqual(rule(bound), { _meta: { priority: 7, secrets: 'missing' } })
    assert.deepEqual(bound.put.consumers?.[0]?.plugins, { auth: { _meta: { secrets: 'missing' } } })
    assert.equal(JSON.stringify(bound).includes('$secret'), false)
    assert.deepEqual(logged, [
      `error a secret cannot be read: policies that need it deny {"reference":"${one}","reason":"it is unavailable"}`,
    ])
  })

  test('has nothing left of one that does not fit, and the log does not quote it', async () => {
    for (const value of ['ab', 'forbidden']) {
      const { apply, logged } = setUp({ [one]: value })
      const bound = await apply({ secrets: managers(), global_rules: rules({ call: { token: one } }) })
      assert.deepEqual(rule(bound), { _meta: { secrets: 'missing' } })
      assert.equal(logged.length, 1)
      assert.match(logged[0]!, /a secret does not fit.*"policy":"call"/)
      assert.equal(logged[0]!.includes(`"${value}"`), false)
    }
  })

  test('is as it was where nothing refers to secrets, or the policy is off', async () => {
    const { apply, reader } = setUp({})
    const written = { call: { token: one, _meta: { disable: true } }, plain: { list: ['$host', 'x'] } }
    const bound = await apply({ global_rules: rules(written) })
    assert.deepEqual(bound.put.global_rules, [{ id: 'g', plugins: written }])
    assert.deepEqual(reader.asked, [])
  })
})

suite('while the plan runs', () => {
  test('a secret is read again after its time, and a changed one reaches those that use it', async () => {
    const { apply, book, clock, reader, told } = setUp({ [one]: 'value', [two]: 'other' })
    await apply({
      secrets: managers(),
      global_rules: new Map([
        ['g', { id: 'g', plugins: { call: { token: one } } }],
        ['h', { id: 'h', plugins: { call: { token: two } } }],
      ]),
    })
    assert.equal(clock.next, 300)
    await clock.advance(299)
    assert.equal(reader.asked.length, 2)
    await clock.advance(1)
    assert.equal(reader.asked.length, 4)
    assert.equal(told(), 0)

    reader.values.set(one, 'rotated')
    await clock.advance(300)
    assert.equal(told(), 1)
    const changes = book.takeChanges()
    assert.deepEqual(changes, {
      put: {
        global_rules: [{ id: 'g', plugins: { call: { token: 'rotated', _meta: { secrets: 'present' } } } }],
      },
      remove: {},
    })
    assert.deepEqual(book.takeChanges(), { put: {}, remove: {} })
  })

  test('the last value stays while its manager cannot say, and is tried again sooner', async () => {
    const { apply, book, clock, reader, logged, told } = setUp({ [one]: 'value' })
    await apply({ secrets: managers(), global_rules: rules({ call: { token: one } }) })
    for (const kind of ['unreachable', 'unavailable'] as const) {
      reader.values.set(one, fails(kind))
      await clock.advance(300)
      assert.equal(clock.next, 60)
      await clock.advance(60)
    }
    assert.equal(told(), 0)
    assert.deepEqual(book.counts, { resolved: 0, stale: 1, unresolved: 0 })
    const another = await apply({
      secrets: managers(),
      global_rules: rules({ call: { token: one, times: 1 } }),
    })
    assert.equal(rule(another)?.token, 'value')
    assert.equal(logged.filter((line) => line.includes('its last value stays')).length, 1)

    reader.values.set(one, 'rotated')
    await clock.advance(60)
    assert.equal(told(), 1)
    assert.equal(rule(book.takeChanges())?.token, 'rotated')
    assert.deepEqual(book.counts, { resolved: 1, stale: 0, unresolved: 0 })
  })

  test('a secret that is certainly gone is taken away', async () => {
    const { apply, book, clock, reader, told } = setUp({ [one]: 'value' })
    await apply({ secrets: managers(), global_rules: rules({ call: { token: one } }) })
    reader.values.set(one, fails('absent'))
    await clock.advance(300)
    assert.equal(told(), 1)
    assert.deepEqual(rule(book.takeChanges()), { _meta: { secrets: 'missing' } })
  })

  test('one that was missing is put in as soon as it is found', async () => {
    const { apply, book, clock, reader, told } = setUp({ [one]: fails('unreachable') })
    await apply({ secrets: managers(), global_rules: rules({ call: { token: one } }) })
    await clock.advance(60)
    assert.equal(told(), 0)
    reader.values.set(one, 'value')
    await clock.advance(60)
    assert.equal(rule(book.takeChanges())?.token, 'value')
  })

  test('what is not referred to any more is not read any more', async () => {
    const { apply, book, clock, reader } = setUp({ [one]: 'value', [two]: 'other' })
    await apply({ secrets: managers(), global_rules: rules({ call: { token: one } }) })
    await apply({ secrets: managers(), global_rules: rules({ call: { token: two } }) })
    assert.equal(book.size, 1)
    await clock.advance(300)
    assert.deepEqual(reader.asked, [one, two, two])
    await apply({ secrets: managers() })
    assert.equal(book.size, 0)
    await clock.advance(1000)
    assert.equal(reader.asked.length, 3)
  })

  test('a manager that changed is asked anew, for those too that did not change', async () => {
    const { apply, reader } = setUp({ [one]: 'value' })
    const global_rules = rules({ call: { token: one } })
    await apply({ secrets: managers(), global_rules })
    reader.values.set(one, 'of the other server')
    const unchanged = await apply({ secrets: managers({ ...manager }), global_rules })
    assert.deepEqual(unchanged.put, {})
    const bound = await apply({ secrets: managers({ ...manager, uri: 'http://b' }), global_rules })
    assert.equal(rule(bound)?.token, 'of the other server')
    const gone = await apply({ global_rules })
    assert.deepEqual(rule(gone), { _meta: { secrets: 'missing' } })
    assert.equal(reader.retained?.size, 0)
  })

  test('a thread that starts anew gets what is known, without asking', async () => {
    const { apply, book, reader } = setUp({ [one]: 'value' })
    const resources = { secrets: managers(), global_rules: rules({ call: { token: one } }) }
    await apply(resources)
    const whole = await book.bind(diffPlans(null, { ...empty(), ...resources } as Plan))
    assert.equal(rule(whole)?.token, 'value')
    assert.equal(reader.asked.length, 1)
  })

  test('everything is read anew on request, and nothing after the end', async () => {
    const { apply, book, clock, reader } = setUp({ [one]: 'value' })
    await apply({ secrets: managers(), global_rules: rules({ call: { token: one } }) })
    assert.equal(book.refresh(), 1)
    await clock.advance(0)
    assert.equal(reader.asked.length, 2)
    book.close()
    await clock.advance(10_000)
    assert.equal(reader.asked.length, 2)
  })
})
