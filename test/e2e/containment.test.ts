/** Code of the operator that does not end: what it costs, and who is named for it. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'

let gateway: RunningGateway
const folder = await mkdtemp(join(tmpdir(), 'sluice-contained-'))
before(async () => {
  await writeFile(
    join(folder, 'all.ts'),
    `
export const fine = () => ({ status: 200, body: 'fine' })
export const loops = () => { for (;;); }
`,
  )
  const route = (name: string) =>
    `  - { id: ${name}, uri: /${name}, upstream: { nodes: { "127.0.0.1:1": 1 } }, plugins: { serverless-pre-function: { functions: ["${folder}/all.ts#${name}"] } } }`
  gateway = await startGateway(
    (port) => `
gateway:
  workers: 2
  watchdog: { slow: 500ms, stuck: 2s }
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  control: { enabled: false }
  metrics: { enabled: false }
routes:
${['fine', 'loops'].map(route).join('\n')}
`,
  )
})
after(async () => {
  await gateway?.stop()
  await rm(folder, { recursive: true, force: true })
})

const ask = async (path: string) => {
  const answer = await fetch(`http://127.0.0.1:${gateway.port}${path}`, { headers: { connection: 'close' } })
  return answer.text()
}
const told = async (line: RegExp) => {
  while (!line.test(gateway.output())) await sleep(20)
}

test('a function that does not end is named, and its thread replaced', async () => {
  const lost = ask('/loops').catch(() => 'lost')
  const policy = `"policy":"serverless-pre-function ${folder}/all.ts#loops"`
  await told(new RegExp(`"warn".*${policy}.*data thread does not answer`))
  await told(new RegExp(`"error".*${policy}.*data thread is stuck, it will be ended`))
  await told(/"connectionsLost":[1-9].*data thread ended, it will be replaced/)
  assert.equal(await lost, 'lost')
  await told(/data thread was replaced/)
  assert.equal(await ask('/fine'), 'fine')
})
