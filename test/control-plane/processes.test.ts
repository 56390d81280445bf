/** Real processes: a control plane that is killed at any moment, and one that runs beside its gateway. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { askHttps, TestAgent } from '../harness/embedded-control-plane.ts'
import { freePort, stopProcess } from '../harness/process.ts'

const main = new URL('../../bin/sluice.js', import.meta.url).pathname
/** More of them with this variable. */
const rounds = Number(process.env.SLUICE_KILL_ROUNDS ?? 5)

/** Waits until it says that it is there; how long that takes depends on the machine. */
async function started(args: string[], cwd: string, isThere: RegExp) {
  // Without a child of its own, so that the signal reaches the process itself.
  const child = spawn(process.execPath, [main, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += chunk
    })
  }
  const running = { child, output: () => output }
  await said(running, isThere)
  return running
}

const listens = /gateways +(https:)/

async function killed(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

suite('a control plane', () => {
  test('that is killed at any moment has lost nothing that it answered', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-kill-'))
    const [port, syncPort] = [await freePort(), await freePort()]
    const args = ['control-plane', '--data', folder, '--port', String(port), '--sync-port', String(syncPort)]
    const url = `https://localhost:${port}`
    let running = await started(args, folder, listens)
    try {
      const key = await said(running, /admin key +(\S+)/)
      const token = await said(running, /--token=(\S+)/)
      const agent = await TestAgent.register(url, token)
      const answered = new Map<string, string>()
      let seed = 11
      for (let round = 0; round < rounds; round++) {
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
        const killing = delay(20 + (seed % 400)).then(() => killed(running.child))
        let number = 0
        for (let goesOn = true; goesOn; number++) {
          const [id, uri] = [`r${number % 7}`, `/${round}/${number}`]
          goesOn = await askHttps(`${url}/apisix/admin/routes/${id}`, {
            method: 'PUT',
            headers: { 'X-API-KEY': key },
            body: { uri, upstream: { nodes: { '127.0.0.1:1': 1 } } },
          }).then(
            ({ status }) => {
              if (status < 300) answered.set(id, uri)
              return true
            },
            () => false,
          )
        }
        await killing
        running = await started(args, folder, listens)
        // A change may be there that was not answered any more; none that was answered is missing or older.
        for (const [id, uri] of answered) {
          const { json } = await askHttps(`${url}/apisix/admin/routes/${id}`, {
            headers: { 'X-API-KEY': key },
          })
          const [kept] = json.value.paths
          assert.ok(kept === uri || order(kept) > order(uri), `${id}: ${kept} is older than ${uri}`)
          answered.set(id, kept)
        }
        const isWhole = (uris: string[]) => [...answered.values()].every((uri) => uris.includes(uri))
        const published = await agent.until(({ resources }) => {
          const routes = (resources.routes ?? []) as { uri: string }[]
          return isWhole(routes.map(({ uri }) => uri))
        })
        assert.ok(published.resources)
      }
      assert.ok(answered.size > 0)
    } finally {
      await stopProcess(running.child)
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('runs beside its gateway, whose traffic follows it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-both-'))
    const [port, platform, sync] = [await freePort(), await freePort(), await freePort()]
    const origin = createServer((_, response) => response.end('from the origin'))
    origin.unref()
    origin.listen(0, '127.0.0.1')
    await once(origin, 'listening')
    const args = ['start', '--with-control-plane', '--control-plane-ports', `${platform},${sync}`]
    const settings = ['--set', `listeners=127.0.0.1:${port}`, '--set', 'workers=1']
    for (const name of ['admin', 'control', 'metrics']) settings.push('--set', `${name}.enabled=false`)
    const running = await started([...args, ...settings], folder, /(takes traffic)/)
    try {
      const key = await said(running, /admin key +(\S+)/)
      const { port: originPort } = origin.address() as AddressInfo
      const put = await askHttps(`https://localhost:${platform}/apisix/admin/routes/1`, {
        method: 'PUT',
        headers: { 'X-API-KEY': key },
        body: { uri: '/hello', upstream: { nodes: { [`127.0.0.1:${originPort}`]: 1 } } },
      })
      assert.equal(put.status, 201, put.text)
      let text = ''
      while (text !== 'from the origin') {
        assert.equal(running.child.exitCode, null, running.output())
        text = await (await fetch(`http://127.0.0.1:${port}/hello`)).text()
        await delay(20)
      }
    } finally {
      await stopProcess(running.child)
      origin.close()
      rmSync(folder, { recursive: true, force: true })
    }
  })
})

/** `/2/17` comes after `/1/99`. */
function order(uri: string): number {
  const [round, number] = uri.slice(1).split('/').map(Number)
  return round! * 1_000_000 + number!
}

/** Waits until it stands in what the process writes. */
async function said(running: { child: ChildProcess; output(): string }, pattern: RegExp): Promise<string> {
  for (;;) {
    const found = pattern.exec(running.output())?.[1]
    if (found !== undefined) return found
    assert.equal(running.child.exitCode, null, running.output())
    await delay(10)
  }
}
