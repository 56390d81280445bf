/** Code of the operator that does not end, or keeps what it gets: what it costs, and who is named for it. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'

let gateway: RunningGateway
const folder = await mkdtemp(join(tmpdir(), 'sluice-contained-'))
before(async () => {
  await writeFile(
    join(folder, 'all.ts'),
    `
import { setTimeout as sleep } from 'node:timers/promises'
export const fine = () => ({ status: 200, body: 'fine' })
export const loops = () => { for (;;); }
export const loopsLater = async () => { await sleep(1); for (;;); }
export const loopsSoon = async () => { await undefined; for (;;); }
export const never = () => new Promise(() => {})
const kept: object[] = []
export const leaks = async () => { for (;;) { for (let i = 0; i < 10_000; i++) kept.push({ i }); await sleep(0) } }
`,
  )
  const route = (name: string) =>
    `  - { id: ${name}, uri: /${name}, upstream: { nodes: { "127.0.0.1:1": 1 } }, plugins: { serverless-pre-function: { functions: ["${folder}/all.ts#${name}"] } } }`
  gateway = await startGateway(
    (port) => `
gateway:
  workers: 2
  watchdog: { slow: 500ms, stuck: 2s, unsettled: 3s, heap: 48MiB }
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  control: { enabled: false }
  metrics: { enabled: false }
routes:
${['fine', 'loops', 'loopsLater', 'loopsSoon', 'never', 'leaks'].map(route).join('\n')}
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
const named = (name: string) => `"serverless-pre-function ${folder}/all.ts#${name}"`
/** Waits for lines after what the gateway had said before, one after another. */
const teller = () => {
  let from = gateway.output().length
  return async (line: RegExp) => {
    for (;;) {
      const found = line.exec(gateway.output().slice(from))
      if (found !== null) {
        from += found.index + found[0].length
        return
      }
      await sleep(20)
    }
  }
}

// A line that never comes would be waited for without end.
suite('a function', { timeout: 60_000 }, () => {
  for (const [name, field] of [
    ['loops', `"policy":${named('loops')}`],
    ['loopsLater', `"awaited":\\[${named('loopsLater')}\\]`],
    ['loopsSoon', `"awaited":\\[${named('loopsSoon')}\\]`],
  ] as const) {
    test(`that does not end is named, and its thread replaced: ${name}`, async () => {
      const told = teller()
      const lost = ask(`/${name}`).catch(() => 'lost')
      await told(new RegExp(`"warn".*${field}.*data thread does not answer`))
      await told(new RegExp(`"error".*${field}.*data thread is stuck, it will be ended`))
      await told(/"connectionsLost":[1-9].*data thread ended, it will be replaced/)
      assert.equal(await lost, 'lost')
      assert.equal(await ask('/fine'), 'fine')
      await told(/data thread was replaced/)
      assert.equal(await ask('/fine'), 'fine')
    })
  }

  test('that keeps everything ends its thread alone, whose connections are counted', async () => {
    const told = teller()
    const lost = ask('/leaks').catch(() => 'lost')
    await told(/"error".*ERR_WORKER_OUT_OF_MEMORY.*data thread crashed/)
    await told(/"connectionsLost":[1-9].*data thread ended, it will be replaced/)
    assert.equal(await lost, 'lost')
    assert.equal(await ask('/fine'), 'fine')
    await told(/data thread was replaced/)
    assert.equal(await ask('/fine'), 'fine')
  })

  test('whose promise never settles is named, its request denied, and its thread stays', async () => {
    const told = teller()
    const answer = await fetch(`http://127.0.0.1:${gateway.port}/never`)
    assert.equal(answer.status, 500)
    await told(/"policy":"serverless-pre-function".*all\.ts#never has not settled its promise within 3 s/)
    assert.equal(await ask('/fine'), 'fine')
  })
})
