/** `graphql-proxy-cache` through the wire: what the upstream was asked, and what clients got. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { policyGateway } from '../harness/policy-gateway.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-graphql-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const gateway = policyGateway(
  () => `
gateway:
  workers: 2
  limits: { graphql: 4KiB }
  cache:
    zones:
      - { name: memory_cache, size: 4MiB }
      - { name: disk_cache_one, size: 8MiB, path: ${join(folder, 'files')} }
consumers:
  - { username: alice, plugins: { key-auth: { key: key-a } } }
  - { username: bob, plugins: { key-auth: { key: key-b } } }
routes:
  - { id: purge, uri: /apisix/plugin/graphql-proxy-cache/*, plugins: { public-api: {} } }
  - { id: memory, uri: /memory, upstream_id: u, plugins: { key-auth: {}, graphql-proxy-cache: { cache_strategy: memory, cache_zone: memory_cache } } }
  - { id: disk, uri: /disk, upstream_id: u, plugins: { graphql-proxy-cache: {} } }
`,
)

async function ask(path: string, query: string, apikey = 'key-a') {
  const headers = { 'content-type': 'application/json', apikey }
  const answered = await gateway.send(path, { method: 'POST', headers, body: JSON.stringify({ query }) })
  return { ...answered, cache: answered.headers.get('apisix-cache-status') }
}

for (const strategy of ['memory', 'disk']) {
  suite(`${strategy}: answers to queries`, () => {
    test('are stored and forgotten', async () => {
      const first = await ask(`/${strategy}`, '{ persons { id } }')
      const second = await ask(`/${strategy}`, '{ persons { id } }')
      assert.deepEqual(
        [first.cache, second.cache, second.text, second.seen],
        ['MISS', 'HIT', first.text, undefined],
      )
      assert.equal((await ask(`/${strategy}`, '{ persons { name } }')).cache, 'MISS')

      const key = first.headers.get('apisix-cache-key')
      const purge = (route: string) =>
        gateway.send(`/apisix/plugin/graphql-proxy-cache/${strategy}/${route}/${key}`, { method: 'PURGE' })
      assert.equal((await purge('nowhere')).status, 404)
      assert.equal((await ask(`/${strategy}`, '{ persons { id } }')).cache, 'HIT')
      assert.equal((await purge(strategy)).status, 200)
      assert.equal((await ask(`/${strategy}`, '{ persons { id } }')).cache, 'MISS')
    })

    test('are not those to mutations', async () => {
      for (let n = 0; n < 2; n++) {
        const { cache, seen } = await ask(`/${strategy}`, 'mutation { add }')
        assert.equal(cache, 'BYPASS')
        assert.equal(seen?.body.toString(), '{"query":"mutation { add }"}')
      }
    })
  })
}

test('consumers do not share them', async () => {
  assert.equal((await ask('/memory', '{ mine }')).cache, 'MISS')
  assert.equal((await ask('/memory', '{ mine }', 'key-b')).cache, 'MISS')
  assert.equal((await ask('/memory', '{ mine }')).cache, 'HIT')
})

test('what is no query reaches no upstream', async () => {
  const { status, seen } = await ask('/disk', 'query {')
  assert.deepEqual([status, seen], [400, undefined])
})

test('a query by GET may be as large as the settings let GraphQL be', async () => {
  const headers = { apikey: 'key-a' }
  const get = (name: string) =>
    gateway.send(`/memory?query=${encodeURIComponent(`{ ${name} }`)}`, { headers })
  assert.equal((await get('a'.repeat(3000))).status, 200)
  const { status, seen } = await get('a'.repeat(5000))
  assert.deepEqual([status, seen], [400, undefined])
})
