/** The unit for systemd and the file for Docker Compose, read as those who run them do. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { suite, test } from 'node:test'
import { parse } from 'yaml'
import { exitCode } from '../../src/cli/command.ts'
import { commands } from '../../src/cli/commands.ts'
import { checkSchema } from '../../src/config/schema.ts'
import { gatewaySchema, resolveSettings } from '../../src/config/settings.ts'
import { read, root } from '../rules/repository.ts'

const path = 'deploy/systemd/sluice.service'
const defaults = {}
checkSchema(gatewaySchema, defaults)
const drainSeconds = resolveSettings(defaults, '0.0.0').timeouts.drain / 1000

suite('the unit for systemd', () => {
  const unit = readUnit(read(path))
  const one = (section: string, name: string) => unit.get(`${section}.${name}`)?.at(-1)

  test('starts, checks and reloads with commands that there are', () => {
    for (const name of ['ExecStartPre', 'ExecStart']) {
      const [node, main, command] = one('Service', name)!.split(' ')
      assert.equal(node, '/usr/bin/node')
      assert.equal(main, '/opt/sluice/dist/main.js')
      assert.ok(command !== undefined && command in commands, name)
    }
    assert.equal(one('Service', 'ExecReload'), '/bin/kill -HUP $MAINPID')
  })

  test('has the time to drain, and is not started again over findings', () => {
    assert.ok(Number(one('Service', 'TimeoutStopSec')) > drainSeconds)
    assert.equal(Number(one('Service', 'RestartPreventExitStatus')), exitCode.invalid)
  })

  test('keeps its data where it may write', () => {
    const environment = unit.get('Service.Environment')!
    assert.ok(environment.includes(`SLUICE_DATA_DIR=/var/lib/${one('Service', 'StateDirectory')}`))
    assert.ok(environment.includes(`NODE_COMPILE_CACHE=/var/cache/${one('Service', 'CacheDirectory')}`))
    assert.equal(one('Service', 'ProtectSystem'), 'strict')
  })

  const missing = spawnSync('systemd-analyze', ['--version']).error !== undefined
  test('is called safe by systemd itself', { skip: missing && 'systemd-analyze is not installed' }, () => {
    const { stdout, stderr, status } = spawnSync(
      'systemd-analyze',
      ['security', '--offline=true', '--no-pager', '--threshold=25', root + path],
      { encoding: 'utf8' },
    )
    assert.equal(stderr.replace(/^.*Failed to (load|open) .*$/gm, '').trim(), '')
    assert.equal(status, 0, stdout)
  })
})

suite('the file for Docker Compose', () => {
  const { services, volumes } = parse(read('deploy/compose/compose.yaml'))
  const { sluice } = services

  test('builds the image from this checkout and runs it as the image is meant to', () => {
    assert.equal(sluice.build.context, '../..')
    assert.ok(sluice.command[0] in commands)
    assert.equal(sluice.read_only, true)
    assert.deepEqual(sluice.cap_drop, ['ALL'])
    assert.ok(Number.parseInt(sluice.stop_grace_period, 10) > drainSeconds)
    assert.match(read('Dockerfile'), /CMD \["sluice", "healthcheck"\]/)
    assert.deepEqual(sluice.healthcheck.test, ['CMD', 'sluice', 'healthcheck'])
  })

  test('mounts what it names, and publishes traffic only', () => {
    const [configuration, data] = sluice.volumes.map((mount: string) => mount.split(':'))
    assert.deepEqual(configuration, ['./gateway', sluice.command[2], 'ro'])
    assert.equal(data[1], sluice.environment.SLUICE_DATA_DIR)
    assert.ok(data[0] in volumes)
    assert.deepEqual(sluice.ports, ['9080:9080', '9443:9443'])
  })
})

/** Values by `Section.Name`, in order. */
function readUnit(text: string): Map<string, string[]> {
  const values = new Map<string, string[]>()
  let section = ''
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue
    const heading = /^\[(\w+)\]$/.exec(line)
    if (heading !== null) section = heading[1]!
    else {
      const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? []
      assert.ok(name !== undefined, `${line} is no assignment`)
      const key = `${section}.${name}`
      values.set(key, [...(values.get(key) ?? []), value!])
    }
  }
  return values
}
