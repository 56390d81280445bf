/** That the page about Flex Gateway is what the code says, and that what it says is so. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { commands } from '../../src/cli/commands.ts'
import { check } from '../../src/config/check.ts'
import { connectionPolicies, counterparts, notYet } from '../../src/config/dialects/flex/policies.ts'
import { flexCommands, flexReference } from '../../src/config/dialects/flex/reference.ts'
import { type Loaded, readText } from '../../src/config/load.ts'
import { catalogue, policySchemas } from '../../src/policies/index.ts'

const page = new URL('../../docs/reference/flex.md', import.meta.url)

test('the page is the one that the code makes', () => {
  const text = flexReference()
  if (process.env.UPDATE_REFERENCE === '1') writeFileSync(page, text)
  assert.equal(
    readFileSync(page, 'utf8'),
    text,
    'run: UPDATE_REFERENCE=1 node --test test/guides/flex.test.ts',
  )
})

test('its links lead somewhere', () => {
  for (const [, path = ''] of flexReference().matchAll(/\]\(([^)]+)\)/g)) {
    assert.ok(existsSync(new URL(path, page)), path)
  }
})

/** Codes of what is found where the policy is named, bound to a kind. */
function findingsOf(name: string, kind: string): string[] {
  const document = (of: string, spec: object) =>
    JSON.stringify({ apiVersion: 'gateway.mulesoft.com/v1alpha1', kind: of, metadata: { name: 'one' }, spec })
  const loaded: Loaded = { documents: [], findings: [] }
  for (const text of [
    document('ApiInstance', {
      address: 'https://127.0.0.1:1',
      services: { a: { address: 'http://127.0.0.1:1' } },
    }),
    document('Service', { address: 'https://127.0.0.1:1' }),
    document('PolicyBinding', { targetRef: { kind, name: 'one' }, policyRef: { name }, config: {} }),
  ]) {
    readText('one.json', text, {}, loaded)
  }
  return check(loaded, policySchemas(catalogue), { gatewayVersion: '0.0.0' })
    .findings.filter(({ path }) => path === 'spec.policyRef.name')
    .map(({ code }) => code)
}

test('each policy that it has can be bound where it says, and nowhere else', () => {
  const bound = [
    ...connectionPolicies.map(({ name, binds }) => [name, binds.split(', ')] as const),
    ...[...counterparts].map(([name, { binds }]) => {
      const kinds = { service: ['Service'], both: ['ApiInstance', 'Service'], instance: ['ApiInstance'] }
      return [name, kinds[binds ?? 'instance']] as const
    }),
  ]
  for (const [name, kinds] of bound) {
    for (const kind of ['ApiInstance', 'Service']) {
      const found = findingsOf(name, kind).filter((code) => code !== 'missing-field')
      assert.deepEqual(found, kinds.includes(kind) ? [] : ['invalid-value'], `${name} on ${kind}`)
    }
  }
})

test('each that it does not have is refused', () => {
  for (const name of notYet) assert.deepEqual(findingsOf(name, 'ApiInstance'), ['unsupported-resource'], name)
})

test('commands that it names are there', async () => {
  for (const { here } of flexCommands) {
    if (here === undefined) continue
    const [first = '', second] = here.split(' ')
    const { command } = await commands[first]!()
    assert.ok(second === undefined || ('commands' in command && second in command.commands), here)
  }
})
