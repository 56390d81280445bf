/** The walk through docs/guides/connected-mode.md, as somebody would type it: its own commands, with free ports. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ControlPlaneProcess } from '../harness/control-plane-process.ts'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'

const guide = await readFile(new URL('../../docs/guides/connected-mode.md', import.meta.url), 'utf8')
const walk = /## Walk through\n(.*?)\n## /s.exec(guide)![1]!
const commands = [...walk.matchAll(/^ {4}(.+)$/gm)].map(([, command]) => command!)
const sluice = new URL('../../bin/sluice.js', import.meta.url).pathname

interface Place {
  folder: string
  plane: ControlPlaneProcess
  ports: { traffic: number; control: number }
}

/** Types the command of the guide that begins like this. */
async function type({ folder, plane, ports }: Place, beginning: string, serial = '') {
  const command = commands.find((one) => one.startsWith(beginning))
  assert.ok(command, `the guide has no command that begins with ${beginning}`)
  const { adminKey, rootPassphrase, registerCommand } = plane.shown
  const typed = command
    .replace(/\bTOKEN\b/, /--token=(\S+)/.exec(registerCommand)![1]!)
    .replace(/\bKEY"/, `${adminKey}"`)
    .replace(/=PASSPHRASE\b/, `=${rootPassphrase}`)
    .replace(/\bSERIAL\b/, serial)
    .replace('localhost:7443', `localhost:${plane.port}`)
    .replace('127.0.0.1:9080', `127.0.0.1:${ports.traffic}`)
  const script = `sluice() { "${process.execPath}" "${sluice}" "$@"; }; ${typed}`
  const env = { ...process.env, SLUICE_CONTROL_URL: `http://127.0.0.1:${ports.control}` }
  const { stdout } = await promisify(execFile)('sh', ['-c', script], { cwd: folder, env })
  return stdout
}

async function until(look: () => Promise<string>, shows: RegExp): Promise<void> {
  for (let tries = 0; ; tries++) {
    const text = await look()
    if (shows.test(text)) return
    assert.ok(tries < 100, `${shows} is not in: ${text}`)
    await sleep(100)
  }
}

/** `sluice start`, with settings beside the registration. */
async function start({ folder, ports }: Place): Promise<RunningGateway> {
  const gateway = await startGateway(
    (port) => `
gateway:
  workers: 1
  data_dir: ${folder}/data
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  metrics: { enabled: false }
  control: { port: ${ports.control} }
  sync: { heartbeat: 200ms }
`,
    { SLUICE_REGISTRATION: join(folder, 'conf.d/registration.yaml') },
  )
  ports.traffic = gateway.port
  return gateway
}

test('a route comes to the gateway, keys are rotated, and a certificate is revoked', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-walk-'))
  let plane: ControlPlaneProcess | undefined
  let gateway: RunningGateway | undefined
  t.after(async () => {
    await gateway?.stop()
    await plane?.stop()
    await rm(folder, { recursive: true, force: true })
  })
  assert.ok(commands.includes('sluice control-plane --data control'))
  plane = await ControlPlaneProcess.start(join(folder, 'control'))
  const place = { folder, plane, ports: { traffic: 0, control: await freePort() } }

  await type(place, 'mkdir')
  await type(place, 'sluice register')
  gateway = await start(place)
  const hello = () => type(place, 'curl http')
  assert.match(await hello(), /404 Route Not Found/)
  const put = await type(place, 'curl --cacert control/ca.pem -H "X-API-KEY: KEY" -X PUT')
  assert.match(put, /"id":"hello"/)
  await until(hello, /^hello$/)
  assert.match(
    await type(place, 'sluice status'),
    /^control plane +reached$[\s\S]*^registered as +shop-edge,/m,
  )

  assert.match(await type(place, 'SLUICE_ROOT_PASSPHRASE='), /Document of keys 2 with 2 keys/)
  await plane.stop()
  await plane.start()
  const path = '/apisix/admin/routes/hello'
  const body = { 'fault-injection': { abort: { http_status: 200, body: 'signed anew' } } }
  assert.equal((await plane.ask('PATCH', path, { plugins: body })).status, 200)
  await until(hello, /^signed anew$/)

  const certificates = JSON.parse(
    await type(place, 'curl --cacert control/ca.pem -H "X-API-KEY: KEY" https'),
  ) as { list: { serial: string; state: string }[] }
  assert.equal(certificates.list.length, 1)
  const { serial } = certificates.list[0]!
  await type(place, 'curl --cacert control/ca.pem -H "X-API-KEY: KEY" -X POST', serial)
  await until(
    () => type(place, 'sluice status'),
    /^control plane +not reached since .*no valid certificate of a registration was shown \(403\)$/m,
  )
  assert.equal((await plane.ask('DELETE', path)).status, 200)
  assert.equal(await hello(), 'signed anew')
})
