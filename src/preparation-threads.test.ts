import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { canonicalJson, sha256 } from './config-sync/protocol/index.ts'
import { PreparationThread } from './preparation-threads.ts'

const resources = { routes: [{ id: 'a', uri: '/a', upstream: { nodes: { '127.0.0.1:1': 1 } } }] }

suite('the thread that prepares publications', () => {
  const thread = new PreparationThread()
  after(() => thread.close())

  test('gives the canonical text of a good configuration, and the patch that leads there', async () => {
    const before = canonicalJson({ resources: { routes: [] } })
    const prepared = await thread.ask('prepare', { configuration: JSON.stringify({ resources }), before })
    assert.deepEqual(
      prepared.findings.filter(({ severity }) => severity === 'error'),
      [],
    )
    const text = canonicalJson({ resources })
    assert.equal(prepared.text, text)
    assert.equal(prepared.sha256, sha256(text))
    assert.deepEqual(JSON.parse(prepared.patch!), [
      { op: 'add', path: '/resources/routes/0', value: resources.routes[0] },
    ])
    assert.equal(await thread.ask('patch', { before, after: text }), prepared.patch)
  })

  test('gives the findings of a bad one, and nothing to sign', async () => {
    const bad = { routes: [{ id: 'a', uris: '/a' }] }
    const { findings, text } = await thread.ask('prepare', {
      configuration: JSON.stringify({ resources: bad }),
    })
    assert.ok(findings.some(({ path, severity }) => severity === 'error' && path.startsWith('routes[0]')))
    assert.equal(text, '')
    assert.deepEqual(await thread.ask('check', { resources: JSON.stringify(bad) }), findings)
  })

  test('says what keeps it from an answer, and goes on', async () => {
    await assert.rejects(thread.ask('check', { resources: 'no JSON' }), /JSON/)
    assert.deepEqual(await thread.ask('check', { resources: '{}' }), [])
  })

  test('that ends leaves nobody waiting, and is started again', async () => {
    const unanswered = assert.rejects(thread.ask('check', { resources: '{}' }), /gave no answer/)
    await thread.close()
    await unanswered
    assert.deepEqual(await thread.ask('check', { resources: '{}' }), [])
  })
})
