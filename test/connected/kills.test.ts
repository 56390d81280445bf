/**
 * kill -9 of either side while configurations are published and put to work. SLUICE_KILLS says how often; each kill
 * comes at a random moment.
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { runProgram } from '../../src/cli/program.ts'
import { ControlPlaneProcess } from '../harness/control-plane-process.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'

const kills = Number(process.env.SLUICE_KILLS ?? 3)
/** Milliseconds between the first publication of a round and the kill. */
const latestKill = 400
/** Milliseconds for anything that is waited for, however busy the machine is. */
const longestWait = 60_000
/** Of a whole round, in which several things are waited for one after the other. */
const timeout = 5 * longestWait
const paths = ['/a', '/b']

let folder: string
let plane: ControlPlaneProcess
let gateway: RunningGateway
/** Of the gateway that runs now; chosen by the system, because a port that was free may not be so at the next start. */
let controlPort: number

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-kills-'))
  plane = await ControlPlaneProcess.start(join(folder, 'control'))
  await register()
  await publish(0)
  for (const path of paths) {
    const { status, text } = await plane.ask('PUT', `/apisix/admin/routes/${path.slice(1)}`, {
      uri: path,
      plugin_config_id: 'shared',
      upstream: { type: 'roundrobin', nodes: { '127.0.0.1:1': 1 } },
    })
    assert.ok(status < 300, text)
  }
  await start()
})

after(async () => {
  await gateway?.stop()
  await plane?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** As its operator pastes it. */
async function register(): Promise<void> {
  const [, ...argv] = plane.shown.registerCommand.split(' ')
  let said = ''
  const write = (text: string) => {
    said += text
  }
  const io = { stdout: { write }, stderr: { write }, env: {}, cwd: folder, isTTY: false }
  assert.equal(await runProgram(argv, io), 0, said)
}

async function start(): Promise<void> {
  gateway = await startGateway(
    (port) => `
gateway:
  workers: 2
  data_dir: ${folder}
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  metrics: { enabled: false }
  control: { port: 0 }
  sync: { heartbeat: 200ms }
`,
    { SLUICE_REGISTRATION: join(folder, 'registration.yaml') },
  )
  // It says so when it takes traffic; before, it only tries whether its port is free.
  const shown = () => /control +http:..[\d.]+:(\d+)/.exec(gateway.output())?.[1]
  for (const deadline = Date.now() + longestWait; shown() === undefined; await sleep(20)) {
    assert.ok(
      Date.now() < deadline && isAlive(gateway.pid),
      `the gateway takes no traffic:\n${gateway.output()}`,
    )
  }
  controlPort = Number(shown())
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** One change for both routes. */
async function publish(number: number): Promise<void> {
  const abort = { http_status: 200, body: String(number) }
  const { status, text } = await plane.ask('PUT', '/apisix/admin/plugin_configs/shared', {
    plugins: { 'fault-injection': { abort } },
  })
  assert.ok(status < 300, `${status} ${text}`)
}

/** The number that the control plane has. */
async function kept(): Promise<number> {
  const { json } = await plane.ask('GET', '/apisix/admin/plugin_configs/shared')
  return Number(json.value.plugins['fault-injection'].abort.body)
}

/** What each route answers, from both data threads by chance. */
async function answers(): Promise<number[]> {
  const headers = { connection: 'close' }
  const asked = [...paths, ...paths].map(async (path) => {
    const signal = AbortSignal.timeout(longestWait)
    const answer = await fetch(`http://127.0.0.1:${gateway.port}${path}`, { headers, signal })
    return answer.status === 200 ? Number(await answer.text()) : Number.NaN
  })
  return Promise.all(asked)
}

const sync = async () =>
  (
    (await (
      await fetch(`http://127.0.0.1:${controlPort}/v1/status`, { signal: AbortSignal.timeout(longestWait) })
    ).json()) as { sync: SyncState }
  ).sync

interface SyncState {
  configuration: { version: number; sha256: string }
}

for (let round = 0; round < kills; round++) {
  const victim = round % 2 === 0 ? 'gateway' : 'control plane'
  test(`round ${round}: the ${victim} is killed, and one complete version runs, the newest`, {
    timeout,
  }, async () => {
    let attempted = await kept()
    let acknowledged = attempted
    let seen = -1
    let isOver = false
    const moment = Math.random() * latestKill
    const publishing = (async () => {
      while (!isOver) {
        attempted++
        await publish(attempted).then(
          () => {
            acknowledged = attempted
          },
          // It is the one that was killed.
          () => {
            isOver = true
          },
        )
      }
    })()
    const watching = (async () => {
      while (!isOver) {
        const numbers = await answers().catch(() => [])
        seen = Math.max(seen, ...numbers.filter((number) => !Number.isNaN(number)))
      }
    })()
    await sleep(moment)
    if (victim === 'gateway') process.kill(gateway.pid, 'SIGKILL')
    else await plane.stop('SIGKILL')
    isOver = true
    await Promise.all([publishing, watching])
    const what = `killed after ${moment} ms: ${acknowledged} acknowledged, ${attempted} attempted, ${seen} seen`

    if (victim === 'control plane') {
      for (const number of await answers()) assert.ok(number >= seen, `${number}; ${what}`)
      await plane.start()
      const number = await kept()
      assert.ok(number >= Math.max(acknowledged, seen) && number <= attempted, `${number} is kept; ${what}`)
    } else {
      await gateway.stop()
      await start()
      const { version, sha256 } = (await sync()).configuration
      const { json } = await plane.ask('GET', '/api/gateway_groups/default/publications')
      const published = json.list.find((one: { version: number }) => one.version === version)
      assert.equal(published?.sha256, sha256, `version ${version} is none that was published; ${what}`)
      for (const number of await answers()) assert.ok(number >= seen, `${number} after the start; ${what}`)
    }
    const newest = await kept()
    for (const deadline = Date.now() + longestWait; ; ) {
      const numbers = await answers()
      if (numbers.every((number) => number === newest)) break
      assert.ok(Date.now() < deadline, `${numbers} and not ${newest}; ${what}\n${gateway.output()}`)
      await sleep(100)
    }
  })
}
