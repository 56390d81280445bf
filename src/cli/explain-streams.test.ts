import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import type { Explanation } from '../proxy/explain/explanation.ts'
import { runProgram } from './program.ts'

const configuration = `\
gateway:
  listeners:
    - { name: cache, protocol: tcp, port: 6379 }
    - { name: db, protocol: tls, port: 5432, passthrough: true }
    - { name: dns, protocol: udp, port: 53 }
stream_routes:
  - { id: office, server_port: 6379, remote_addr: 10.0.0.0/8, upstream_id: caches }
  - id: cache
    name: Cache
    server_port: 6379
    upstream_id: caches
    plugins: { ip-restriction: { whitelist: [192.0.2.0/24] } }
  - { id: orders, sni: orders.db.test, upstream: { nodes: { "10.1.0.3:5432": 1 } } }
  - { id: others, sni: "*.db.test", upstream: { nodes: { "10.1.0.4:5432": 1 } } }
upstreams:
  - { id: caches, scheme: tcp, nodes: { "10.1.0.1:6379": 1 } }
`

async function explained(t: TestContext, ...argv: string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-explain-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = join(folder, 'sluice.yaml')
  await writeFile(file, configuration)
  let text = ''
  const write = (piece: string) => {
    text += piece
    return true
  }
  const out = { write }
  const io = { stdout: out, stderr: out, env: {}, cwd: folder, isTTY: false } as never
  const code = await runProgram(['explain', '-c', file, ...argv], io)
  return { code, text }
}

async function explanationOf(t: TestContext, ...argv: string[]): Promise<Explanation> {
  const { text } = await explained(t, ...argv, '--format', 'json')
  return JSON.parse(text)
}

suite('sluice explain, of a session', () => {
  test('says which route takes it, why others do not, what runs and where it goes', async (t) => {
    const { code, text } = await explained(t, 'tcp://127.0.0.1:6379', '--from', '192.0.2.7')
    t.assert.equal(code, 0)
    for (const part of [
      /^tcp tcp:\/\/127\.0\.0\.1:6379$/m,
      /listener +cache on 0\.0\.0\.0:6379/,
      /route +cache \(Cache\) +\(.*sluice\.yaml:8\)/,
      /office .*\n +remote_addr: 192\.0\.2\.7 is not in 10\.0\.0\.0\/8/,
      /ip-restriction/,
      /10\.1\.0\.1:6379/,
      /forwarded as\n {2}the bytes as they come, to 10\.1\.0\.1:6379/,
    ])
      t.assert.match(text, part)
  })

  test('reads the name that is asked for in TLS', async (t) => {
    const exact = await explanationOf(t, 'tls://orders.db.test:5432')
    t.assert.equal(exact.route?.id, 'orders')
    const wild = await explanationOf(t, 'tls://more.db.test:5432')
    t.assert.equal(wild.route?.id, 'others')
    t.assert.deepEqual(wild.candidates[0]?.why, ['sni: it takes orders.db.test, not more.db.test'])
  })

  test('says that no route, or no listener, takes it', async (t) => {
    const { text } = await explained(t, 'udp://127.0.0.1:53')
    t.assert.match(text, /no route takes it/)
    t.assert.match(text, /server_port: it takes 6379, not 53/)
    t.assert.match(text, /closed with the status 500, without a byte/)
    const nowhere = await explanationOf(t, 'tcp://127.0.0.1:1')
    t.assert.deepEqual(nowhere.hints, ['no listener with protocol: tcp has that port'])
    t.assert.equal(nowhere.route, null)
  })
})
