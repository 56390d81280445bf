import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { chooseSources, type Loaded, load, readText } from './load.ts'

async function folder(t: TestContext, files: Record<string, string>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-load-'))
  t.after(() => rm(path, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true })
    await writeFile(join(path, name), text)
  }
  return path
}

const values = ({ documents }: Loaded) => documents.map(({ value }) => value)

suite('load', () => {
  test('reads a folder in the order of names, without subfolders and hidden files', async (t) => {
    const cwd = await folder(t, {
      '10.yml': 'b: 2',
      '2.json': '{"c":3}',
      '1.yaml': 'a: 1',
      'notes.txt': 'x: y',
      '.hidden.yaml': 'x: y',
      'sub/3.yaml': 'x: y',
    })
    const loaded = await load(['.'], {}, cwd)
    t.assert.deepEqual(values(loaded), [{ a: 1 }, { b: 2 }, { c: 3 }])
    t.assert.deepEqual(
      loaded.documents.map(({ file }) => file),
      ['1.yaml', '10.yml', '2.json'],
    )
    t.assert.deepEqual(loaded.findings, [])
  })

  test('reads several sources in the order given', async (t) => {
    const cwd = await folder(t, { 'b.yaml': 'b: 1', 'a/a.yaml': 'a: 1' })
    t.assert.deepEqual(values(await load(['b.yaml', 'a'], {}, cwd)), [{ b: 1 }, { a: 1 }])
  })

  test('reads several documents, merge keys, and a closing #END', async (t) => {
    const text = 'base: &b {x: 1, y: 2}\none:\n  <<: *b\n  y: 3\n---\n# nothing\n---\ntwo: 2\n#END\n'
    const cwd = await folder(t, { 'a.yaml': text })
    t.assert.deepEqual(values(await load(['a.yaml'], {}, cwd)), [
      { base: { x: 1, y: 2 }, one: { x: 1, y: 3 } },
      { two: 2 },
    ])
  })

  test('reads JSON whatever the file is called, and a byte order mark', async (t) => {
    const cwd = await folder(t, { 'a.yaml': '\uFEFF{"a": 1}', 'b.conf': '{"b": 1}' })
    t.assert.deepEqual(values(await load(['a.yaml', 'b.conf'], {}, cwd)), [{ a: 1 }, { b: 1 }])
  })

  test('reads flow maps of YAML that are not JSON', async (t) => {
    const cwd = await folder(t, { 'a.yaml': '{a: 1}\n' })
    t.assert.deepEqual(values(await load(['a.yaml'], {}, cwd)), [{ a: 1 }])
  })

  test('tells what does not exist, and goes on with the rest', async (t) => {
    const cwd = await folder(t, { 'a.yaml': 'a: 1' })
    const loaded = await load(['none.yaml', 'a.yaml'], {}, cwd)
    t.assert.deepEqual(values(loaded), [{ a: 1 }])
    t.assert.deepEqual(
      loaded.findings.map(({ code, file }) => [code, file]),
      [['file-not-found', 'none.yaml']],
    )
  })

  test('tells what cannot be read', async (t) => {
    const cwd = await folder(t, { 'a.yaml': 'a: 1' })
    const { findings } = await load(['a.yaml/b.yaml'], {}, cwd)
    t.assert.deepEqual(
      findings.map(({ code }) => code),
      ['file-unreadable'],
    )
  })

  test('tells when there is nothing', async (t) => {
    const cwd = await folder(t, { 'empty.yaml': '# nothing\n', 'sub/x.txt': '' })
    for (const sources of [['empty.yaml'], ['sub'], []]) {
      const { findings } = await load(sources, {}, cwd)
      t.assert.deepEqual(
        findings.map(({ code }) => code),
        ['no-configuration'],
      )
    }
  })

  test('restores the environment that it hides from the parser', async (t) => {
    const before = process.env
    readText('a.yaml', 'a: [', {}, { documents: [], findings: [] })
    t.assert.equal(process.env, before)
  })
})

suite('YAML', () => {
  test('that is broken is told with its place, and not quoted', (t) => {
    const loaded: Loaded = { documents: [], findings: [] }
    readText('a.yaml', 'key: s3cret\n  more: "s3cret\n', {}, loaded)
    t.assert.deepEqual(loaded.documents, [])
    t.assert.deepEqual(new Set(loaded.findings.map(({ code }) => code)), new Set(['syntax']))
    t.assert.equal(loaded.findings[0]?.line, 1)
    t.assert.doesNotMatch(JSON.stringify(loaded.findings), /s3cret/)
  })
})

suite('JSON', () => {
  const findings = (text: string) => {
    const loaded: Loaded = { documents: [], findings: [] }
    readText('a.json', text, {}, loaded)
    return loaded.findings.map(({ code, line, column, message }) => `${line}:${column} ${code}: ${message}`)
  }

  test('that is broken is told with its place, and not quoted', (t) => {
    t.assert.deepEqual(findings('{\n  "key": "s3cret\n}'), [
      '2:10 syntax: not well-formed JSON: this string is not closed on its line',
    ])
    t.assert.deepEqual(findings('[1]'), ['1:1 syntax: not well-formed JSON: it holds no object'])
  })

  test('with a key that comes twice is told, because readers differ in which one counts', (t) => {
    t.assert.deepEqual(findings('{"routes": [{"uri": "/a", "uri": "/b"}]}'), [
      '1:27 duplicate-key: the key "uri" was already given in the same object',
    ])
  })
})

suite('positions in YAML', () => {
  test('go through aliases and merge keys', (t) => {
    const loaded = { documents: [], findings: [] } as Loaded
    readText('a.yaml', 'a: &a\n  x: 1\nb: *a\nc:\n  <<: *a\n  z: 2\n---\nd: [1, {e: 5}]\n', {}, loaded)
    const [first, second] = loaded.documents
    t.assert.deepEqual(
      first!.locate([
        { path: ['b', 'x'], at: 'value' },
        { path: ['c', 'z'], at: 'key' },
        { path: ['c', 'x'], at: 'value' },
        { path: ['none'], at: 'key' },
      ]),
      [
        { line: 2, column: 6 },
        { line: 6, column: 3 },
        { line: 5, column: 3 },
        { line: 1, column: 1 },
      ],
    )
    t.assert.deepEqual(second!.locate([{ path: ['d', 1, 'e'], at: 'key' }]), [{ line: 8, column: 9 }])
  })
})

suite('chooseSources', () => {
  test('takes what was named, else sluice.yaml when it is there', async (t) => {
    const cwd = await folder(t, { 'sluice.yaml': '' })
    t.assert.deepEqual(await chooseSources(['x'], cwd), ['x'])
    t.assert.deepEqual(await chooseSources([], cwd), ['./sluice.yaml'])
  })
})

suite('what Flex Gateway has beside files', () => {
  const resource = (name: string) =>
    `apiVersion: gateway.mulesoft.com/v1alpha1\nkind: Service\nmetadata: { name: ${name} }\nspec: { address: "http://a" }\n`

  test('subfolders are read for its resources alone, however deep, without hidden ones', async (t) => {
    const cwd = await folder(t, {
      'a.yaml': 'routes: []',
      'deep/er/b.yaml': resource('b'),
      'deep/c.yaml': 'routes: []',
      '.hidden/d.yaml': resource('d'),
      'node_modules/x/e.yaml': resource('e'),
    })
    for (const source of ['.', './', cwd]) {
      const { documents } = await load([source], {}, cwd)
      t.assert.deepEqual(
        documents.map(({ file }) => file.split('/').at(-1)),
        ['a.yaml', 'b.yaml'],
      )
    }
  })

  test('its variables become settings, and one that cannot be read is told', async (t) => {
    const cwd = await folder(t, {})
    const env = {
      FLEX_CONFIG: resource('inline'),
      FLEX_CONNECTION_IDLE_TIMEOUT_SECONDS: '30',
      FLEX_SERVICE_ENVOY_DRAIN_TIME: 'soon',
      FLEX_FORWARD_CLIENT_CERT_DETAILS: 'APPEND_FORWARD',
      FLEX_ENVOY_HEADERS_ENABLED: 'false',
      FLEX_UPSTREAM_RESPONSE_TIMEOUT_SECONDS: '-1',
    }
    t.assert.deepEqual(await chooseSources([], cwd, env), [])
    const { documents, settings, findings } = await load([], env, cwd)
    t.assert.deepEqual(
      documents.map(({ file }) => file),
      ['FLEX_CONFIG'],
    )
    t.assert.deepEqual(
      settings?.map(({ name, path, value }) => [name, path.join('.'), value]),
      [['FLEX_CONNECTION_IDLE_TIMEOUT_SECONDS', 'timeouts.keepalive', '30s']],
    )
    t.assert.deepEqual(
      findings.map(({ severity, message }) => `${severity} ${/FLEX_\w+/.exec(message)?.[0]}`),
      [
        'error FLEX_SERVICE_ENVOY_DRAIN_TIME',
        'error FLEX_UPSTREAM_RESPONSE_TIMEOUT_SECONDS',
        'warning FLEX_FORWARD_CLIENT_CERT_DETAILS',
      ],
    )
  })
})
