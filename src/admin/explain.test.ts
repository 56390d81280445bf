import assert from 'node:assert/strict'
import { test } from 'node:test'
import { check } from '../config/check.ts'
import { type Loaded, readText } from '../config/load.ts'
import { Provenance } from '../config/provenance.ts'
import { SecretFields } from '../config/secret-fields.ts'
import { Type } from '../config/type.ts'
import type { Explanation } from '../proxy/explain/explanation.ts'
import { explainEndpoints } from './explain.ts'
import type { AdminRequest } from './server.ts'

const policies = new Map([
  [
    'stamp',
    {
      name: 'stamp',
      configSchema: Type.Object({
        ink: Type.String({ default: 'blue' }),
        where: Type.Optional(Type.Object({ page: Type.Integer(), corners: Type.Array(Type.String()) })),
        seal: Type.Optional(Type.String({ 'x-secret': true })),
      }),
      identify: false,
    },
  ],
])
const loaded: Loaded = { documents: [], findings: [] }
readText(
  'sluice.yaml',
  `\
routes:
  - id: a
    uri: /a
    plugins:
      stamp:
        where: { page: 1, corners: [top] }
        seal: wax
    upstream: { nodes: { "10.0.0.1:80": 1, "example.com:80": 1 } }
`,
  {},
  loaded,
)
const held = {
  file: 'the Admin API',
  value: { services: [{ id: 's', plugins: { stamp: { ink: 'red' } } }] },
  locate: () => [],
}
const { configuration } = check(loaded, policies, { gatewayVersion: '0', held })

function explanation(): Explanation {
  const policy = {
    name: 'stamp',
    replaces: [],
    stage: 'transform',
    priority: 1,
    phases: [],
    verdict: 'passes' as const,
    notes: [],
  }
  const endpoint = { weight: 1, priority: 0, usable: true, active: 0, resolved: [] }
  return {
    candidates: [],
    other_hosts: [],
    route: { id: 'a', path: '/a', host: '' },
    service: { id: 's' },
    policies: [
      { ...policy, owner: 'route:a' },
      { ...policy, owner: 'service:s' },
    ],
    upstream: {
      key: 'route:a',
      endpoints: [
        { ...endpoint, address: '10.0.0.1:80' },
        { ...endpoint, address: 'example.com:80' },
      ],
    },
  } as unknown as Explanation
}

async function explained(): Promise<Explanation> {
  const endpoints = explainEndpoints({
    explain: async () => explanation(),
    sources: async () => ({
      configuration: configuration!,
      provenance: new Provenance(loaded.documents),
      secrets: new SecretFields(policies),
    }),
    health: {
      statusOf: (key) =>
        key === 'route:a'
          ? ({
              panicking: true,
              endpoints: [
                { address: '10.0.0.1', hostname: '10.0.0.1', port: 80, state: 'healthy', ejected: false },
                {
                  address: '192.0.2.1',
                  hostname: 'example.com',
                  port: 80,
                  state: 'unhealthy',
                  ejected: true,
                },
                { address: '192.0.2.2', hostname: 'example.com', port: 80, state: 'healthy', ejected: false },
              ],
            } as never)
          : undefined,
    },
  })
  const answer = await endpoints['POST /v1/explain']!({ body: '{"url":"/a"}' } as AdminRequest)
  assert.equal(answer.status, 200)
  return JSON.parse(answer.body) as Explanation
}

test('every property has the line that it was written on, or none where it is a default', async () => {
  const { route, policies: shown, upstream } = await explained()
  assert.equal(route?.source?.line, 2)
  assert.equal(upstream?.source?.line, 8)
  assert.equal(shown[0]?.source?.line, 5)
  assert.deepEqual(
    shown[0]?.properties?.map(({ path, value, source }) => [path, value, source?.line]),
    [
      ['where.page', 1, 6],
      ['where.corners', ['top'], 6],
      ['seal', '<redacted>', 7],
      ['ink', 'blue', undefined],
    ],
  )
})

test('what the Admin API holds stands there', async () => {
  const { service, policies: shown } = await explained()
  const source = { file: 'the Admin API', path: '/apisix/admin/services/s' }
  assert.deepEqual([service?.source, shown[1]?.source], [source, source])
})

test('endpoints have what checks say of their addresses', async () => {
  const { upstream } = await explained()
  assert.equal(upstream?.all_used, true)
  assert.deepEqual(
    upstream?.endpoints.map(({ health }) =>
      health?.map(({ address, state, ejected }) => [address, state, ejected]),
    ),
    [
      [['10.0.0.1', 'healthy', false]],
      [
        ['192.0.2.1', 'unhealthy', true],
        ['192.0.2.2', 'healthy', false],
      ],
    ],
  )
})
