import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Loaded, readText } from './load.ts'
import type { ResourceKind } from './plan.ts'
import type { PathSegment } from './problem.ts'
import { Provenance } from './provenance.ts'

const loaded: Loaded = { documents: [], findings: [] }
readText(
  'routes.yaml',
  `\
routes:
  - id: a
    uri: /a
    host: a.test
    plugins:
      limit-count:
        count: 1
        time_window: 60
    upstream:
      nodes: { "10.0.0.1:80": 1, "10.0.0.2": 2 }
  - uri: /b
    upstream_id: 1
`,
  {},
  loaded,
)
readText(
  'others.json',
  `{
  "upstreams": [{ "id": 1, "nodes": [{ "host": "10.0.0.3", "port": 80, "weight": 1 }] }],
  "consumers": [
    { "username": "jack", "credentials": [{ "id": "phone", "plugins": { "key-auth": { "key": "k" } } }] },
    { "id": "jack/credentials/laptop", "plugins": { "key-auth": { "key": "l" } } }
  ]
}`,
  {},
  loaded,
)
const provenance = new Provenance(loaded.documents)

function where(kind: ResourceKind, id: string, ...path: PathSegment[]): string | undefined {
  const [found] = provenance.locate([{ kind, id, path }])
  return found && `${found.file}:${found.line}:${found.column} ${found.path}`
}

test('a resource, with or without an id', () => {
  assert.equal(where('routes', 'a'), 'routes.yaml:2:5 routes[0]')
  assert.equal(where('routes', 'arr_2'), 'routes.yaml:11:5 routes[1]')
  assert.equal(where('upstreams', '1'), 'others.json:2:17 upstreams[0]')
  assert.equal(where('routes', 'b'), undefined)
})

test('a property stands at its key, under whichever name it was written', () => {
  const count = ['plugins', 'limit-count', 'count']
  assert.equal(where('routes', 'a', ...count), 'routes.yaml:7:9 routes[0].plugins.limit-count.count')
  assert.equal(where('routes', 'a', 'uris'), 'routes.yaml:3:5 routes[0].uri')
  assert.equal(where('routes', 'a', 'hosts'), 'routes.yaml:4:5 routes[0].host')
})

test('what nobody wrote stands nowhere', () => {
  assert.equal(where('routes', 'a', 'priority'), undefined)
  assert.equal(where('routes', 'a', 'plugins', 'limit-count', 'policy'), undefined)
  assert.equal(where('gateway' as ResourceKind, '', 'timeouts'), undefined)
})

test('nodes are found by their address, as map and as list', () => {
  const node = (address: string) => ['upstream', 'nodes', address, 'weight']
  assert.equal(
    where('routes', 'a', ...node('10.0.0.2:80')),
    'routes.yaml:10:34 routes[0].upstream.nodes["10.0.0.2"]',
  )
  assert.equal(
    where('upstreams', '1', 'nodes', '10.0.0.3:80', 'weight'),
    'others.json:2:72 upstreams[0].nodes[0].weight',
  )
})

test('credentials are found in their consumer and beside it', () => {
  const key = ['plugins', 'key-auth', 'key']
  assert.match(
    where('consumers', 'jack', 'credentials', 'phone', ...key)!,
    /^others\.json:4:.*credentials\[0\]/,
  )
  assert.match(
    where('consumers', 'jack', 'credentials', 'laptop', ...key)!,
    /^others\.json:5:.*consumers\[1\]/,
  )
})
