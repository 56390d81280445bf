/**
 * What the envelope `_meta` and the order of policies promise, for every policy of the catalogue and every phase that it
 * takes part in: through one gateway in which probes stand in the place of the policies. That a policy by itself refuses
 * what it should is for other tests.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { stringify } from 'yaml'
import type { PluginConfig } from '../../src/config/plan.ts'
import { catalogue, type PolicyName } from '../../src/policies/index.ts'
import type { PolicyHandlers } from '../../src/proxy/exchange.ts'
import { phases } from '../../src/proxy/filter.ts'
import { exampleCommands, exampleHost, exampleResources } from '../harness/example-requests.ts'
import { startExampleServices } from '../harness/example-services.ts'
import { policyGateway } from '../harness/policy-gateway.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-envelope-'))
const log = join(folder, 'turns.log')
writeFileSync(log, '')
const services = await startExampleServices()
after(async () => {
  await services.stop()
  rmSync(folder, { recursive: true })
})
const names = [...catalogue.keys()] as PolicyName[]
type Phase = keyof PolicyHandlers

/** Policies that have nothing to do in any phase, with the reason. */
const withoutTurn: { readonly [name in PolicyName]?: string } = {
  'batch-requests': 'it answers through public-api',
  'exit-transformer': 'it has its turn at answers of the gateway’s own alone, see exit.test.ts',
  'error-log-logger': 'it follows the log of the gateway',
  'node-status': 'it answers through public-api',
  'proxy-buffering': 'it is accepted for the sake of configurations of APISIX',
  'server-info': 'it answers at an endpoint of its own',
}

/** Marks stand next to a policy, one before it and one after it, and one behind everybody. They take part in every phase. */
const marks = ['mark-before', 'mark-after', 'mark-end'] as const
for (const name of marks) {
  mkdirSync(join(folder, 'policies', name), { recursive: true })
  writeFileSync(
    join(folder, 'policies', name, 'policy.ts'),
    `import { definePolicy, Type } from 'sluice-gateway/policy-kit'
     import { appendFileSync } from 'node:fs'
     const phases = ${JSON.stringify(phases)}
     const turn = (phase) => ({ request }) => {
       appendFileSync(process.env.PROBE_LOG, \`\${request.headers.sent('x-case')} \${phase} ${name}\\n\`)
     }
     export default definePolicy({
       name: '${name}',
       summary: 'Tells of its turns.',
       stage: 'limit',
       priority: 0,
       config: Type.Object({ stage: Type.String(), priority: Type.Number() }),
       placement: (config) => config,
       create: () => Object.fromEntries(phases.map((phase) => [phase, turn(phase)])),
     })`,
  )
}

const variants = {
  plain: {},
  disabled: { disable: true },
  filtered: { filter: [['http_x_filter', '==', 'yes']] },
  shadowed: { mode: 'shadow' },
  continued: { on_error: 'continue' },
  worded: { error_response: { message: 'in other words' } },
  first: { priority: 1e11 },
  last: { priority: -1e11 },
} as const
type Variant = keyof typeof variants

/** Settings with which a policy has something to do, where it has not with those of its example. */
const busier: { readonly [name: string]: PluginConfig } = { 'proxy-control': { request_buffering: true } }

interface Route {
  id: string
  hosts: string[]
  plugins?: Record<string, PluginConfig>
}

const { send, output } = policyGateway(
  () => {
    const {
      routes,
      contracts: _,
      ...others
    } = exampleResources(names, services, 'u', folder) as unknown as {
      routes: Route[]
      contracts: unknown
    }
    const probed = routes
      .filter(({ id }) => catalogue.has(id))
      .flatMap((route) =>
        Object.entries(variants).map(([variant, _meta]) => ({
          ...route,
          id: `${variant}.${route.id}`,
          hosts: [`${variant}.${route.hosts[0]}`],
          plugins: {
            [route.id]: { ...route.plugins![route.id], ...busier[route.id], _meta },
            ...marksBeside(route),
          },
        })),
      )
    const gateway = { commands: exampleCommands, policies: [join(folder, 'policies')] }
    return stringify({ gateway, ...others, routes: probed }, { aliasDuplicateObjects: false })
  },
  undefined,
  {
    PROBE_LOG: log,
    NODE_OPTIONS: `--import ${new URL('../harness/probed-policies.ts', import.meta.url).href}`,
  },
)

function marksBeside({ id, plugins }: Route): Record<string, object> {
  const policy = catalogue.get(id)!
  const { stage, priority } = policy.placement?.(plugins![id]!) ?? policy
  return {
    'mark-before': { stage, priority: priority + 0.5 },
    'mark-after': { stage, priority: priority - 0.5 },
    'mark-end': { stage, priority: -1e12 },
  }
}

let cases = 0

/** One request to a variant of a policy's route, and everybody who had a turn at it, by phase and in order. */
async function probe(name: PolicyName, variant: Variant, headers: Record<string, string> = {}) {
  const id = `case-${++cases}`
  const begin = statSync(log).size
  const sent = { host: `${variant}.${exampleHost(name)}`, 'x-case': id, ...headers }
  const answered = await send('/orders', { method: 'POST', headers: sent, body: '{"a":1}' })
  const turns = new Map<string, string[]>()
  for (;;) {
    turns.clear()
    for (const line of readFileSync(log).toString('latin1', begin).split('\n')) {
      const [of, phase, who] = line.split(' ')
      if (of === id) turns.set(phase!, [...(turns.get(phase!) ?? []), who!])
    }
    // The last thing that happens to a request.
    if (turns.get('observe')?.includes('mark-end')) break
    await setTimeout(5)
  }
  const of = (phase: Phase) => (turns.get(phase) ?? []).filter((who) => who !== 'mark-end')
  return { ...answered, of, phasesOf: (who: string) => phases.filter((phase) => of(phase).includes(who)) }
}

const isReversed = (phase: Phase) => phase === 'receive' || phase === 'respond'
/** Those in which a policy can end the request. */
const answering: ReadonlySet<Phase> = new Set(['request', 'serve', 'requestBody', 'receive'])
/** Those in which nothing is left to deny: the failure is told. */
const harmless: ReadonlySet<Phase> = new Set(['responseBody', 'observe'])

for (const name of names) {
  suite(name, async () => {
    let own: readonly Phase[] = []

    test('has its turn in the order of priorities, and in the reverse one at the answer', async () => {
      const { status, text, of, phasesOf } = await probe(name, 'plain')
      assert.equal(status, 200, text + output().slice(-1000))
      own = phasesOf(name)
      assert.equal(own.length === 0, name in withoutTurn)
      const inOrder = ['mark-before', name, 'mark-after']
      for (const phase of own)
        assert.deepEqual(of(phase), isReversed(phase) ? inOrder.toReversed() : inOrder, phase)
    })

    test('_meta.priority puts it elsewhere', async () => {
      const orders = { first: [name, 'mark-before', 'mark-after'], last: ['mark-before', 'mark-after', name] }
      for (const [variant, order] of Object.entries(orders)) {
        const { of, phasesOf } = await probe(name, variant as 'first' | 'last')
        assert.deepEqual(phasesOf(name), own)
        for (const phase of own)
          assert.deepEqual(of(phase), isReversed(phase) ? order.toReversed() : order, phase)
      }
    })

    test('_meta.disable leaves it out, _meta.filter where it does not hold', async () => {
      assert.deepEqual((await probe(name, 'disabled')).phasesOf(name), [])
      assert.deepEqual((await probe(name, 'filtered')).phasesOf(name), [])
      assert.deepEqual((await probe(name, 'filtered', { 'x-filter': 'yes' })).phasesOf(name), own)
    })

    test('what it refuses is refused, with its body or that of _meta.error_response, and passes in shadow mode', async () => {
      for (const phase of own.filter((one) => answering.has(one))) {
        const isFirst = phase === 'request' || phase === 'serve'
        for (const wanted of isFirst ? [`refuse ${phase}`, `later refuse ${phase}`] : [`refuse ${phase}`]) {
          const asked = { 'x-probe': wanted }
          const plain = await probe(name, 'plain', asked)
          assert.deepEqual([plain.status, plain.text], [418, `${name} refuses`], wanted)
          if (isFirst) assert.equal(plain.seen, undefined, wanted)
          const worded = await probe(name, 'worded', asked)
          assert.deepEqual([worded.status, worded.text], [418, '{"message":"in other words"}\n'], wanted)
          const shadowed = await probe(name, 'shadowed', asked)
          assert.equal(shadowed.status, 200, wanted)
          assert.ok(shadowed.seen, wanted)
          assert.deepEqual(shadowed.phasesOf(name), own)
        }
      }
    })

    test('where it fails the request is denied, and passes with _meta.on_error', async () => {
      for (const phase of own) {
        const asked = { 'x-probe': `throw ${phase}` }
        const plain = await probe(name, 'plain', asked)
        assert.equal(plain.status, harmless.has(phase) ? 200 : 500, phase)
        if (phase === 'request' || phase === 'serve' || phase === 'send')
          assert.equal(plain.seen, undefined, phase)
        const continued = await probe(name, 'continued', asked)
        assert.equal(continued.status, 200, phase)
        assert.ok(continued.seen, phase)
        assert.deepEqual(continued.phasesOf(name), own)
      }
    })
  })
}
