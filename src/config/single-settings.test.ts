import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { check } from './check.ts'
import type { Environment } from './environment.ts'
import { load } from './load.ts'
import { formatFinding } from './problem.ts'
import { type GivenSetting, settingOfFlag, settingsOfEnvironment, singleSettings } from './single-settings.ts'

const none: ReadonlySet<string> = new Set()

async function given(env: Environment, mentioned = none) {
  const { given, findings } = await settingsOfEnvironment(env, '/', mentioned)
  return {
    values: Object.fromEntries(given.map(({ path, value }) => [path.join('.'), value])),
    findings: findings.map(({ code, message, hint }) => `${code}: ${message}${hint ? ` ${hint}` : ''}`),
  }
}

/** Checks one file with these variables and flags. */
async function settings(t: TestContext, yaml: string, env: Environment, flags: string[] = []) {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-settings-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'sluice.yaml'), yaml)
  const loaded = await load(['sluice.yaml'], env, folder, flags.map(settingOfFlag) as GivenSetting[])
  const { plan, findings } = check(loaded, new Map(), { gatewayVersion: '1.0.0' })
  return { settings: plan?.settings, findings: findings.map((finding) => formatFinding(finding).trimEnd()) }
}

suite('variables', () => {
  test('have one name each, and so have their files', () => {
    const names = singleSettings.flatMap(({ variable }) => [variable, `${variable}_FILE`])
    assert.equal(new Set(names).size, names.length)
    for (const name of [
      'SLUICE_LISTENERS',
      'SLUICE_WORKERS',
      'SLUICE_LOG_LEVEL',
      'SLUICE_TIMEOUTS_BODY_IDLE',
    ]) {
      assert.ok(names.includes(name), name)
    }
  })

  test('are read as their field wants it', async () => {
    const env = {
      SLUICE_WORKERS: '4',
      SLUICE_HEALTH_CHECKS: 'false',
      SLUICE_LIMITS_HEAD: '64KiB',
      SLUICE_LIMITS_BODY: '1000',
      SLUICE_TIMEOUTS_HEADER: '5s',
      SLUICE_TRUSTED_ADDRESSES: '10.0.0.0/8, ::1',
      SLUICE_ADMIN_ALLOW: '["10.0.0.1"]',
      SLUICE_LISTENERS: '9080,127.0.0.1:9081,[::1]:9082',
      SLUICE_ADMIN_KEYS: '[{"key":"a-key-of-enough-length"}]',
      SLUICE_LOG_LEVEL: 'debug',
    }
    const { values, findings } = await given(env)
    assert.deepEqual(values, {
      workers: 4,
      health_checks: false,
      'limits.head': '64KiB',
      'limits.body': 1000,
      'timeouts.header': '5s',
      trusted_addresses: ['10.0.0.0/8', '::1'],
      'admin.allow': ['10.0.0.1'],
      listeners: [{ port: 9080 }, { host: '127.0.0.1', port: 9081 }, { host: '::1', port: 9082 }],
      'admin.keys': [{ key: 'a-key-of-enough-length' }],
      'log.level': 'debug',
    })
    assert.deepEqual(findings, [])
    assert.deepEqual((await given({ SLUICE_WORKERS: 'auto', SLUICE_TRUSTED_ADDRESSES: '' })).values, {
      workers: 'auto',
      trusted_addresses: [],
    })
  })

  test('may stand in files', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-settings-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    const file = join(folder, 'level')
    await writeFile(file, 'warn\n')
    assert.deepEqual((await given({ SLUICE_LOG_LEVEL_FILE: file })).values, { 'log.level': 'warn' })
    assert.deepEqual((await given({ SLUICE_LOG_LEVEL_FILE: file, SLUICE_LOG_LEVEL: 'info' })).findings, [
      'conflicting-fields: only one of the environment variables SLUICE_LOG_LEVEL and SLUICE_LOG_LEVEL_FILE is allowed',
    ])
    assert.deepEqual((await given({ SLUICE_LOG_LEVEL_FILE: join(folder, 'none') })).findings, [
      'file-unreadable: it cannot be read (ENOENT) SLUICE_LOG_LEVEL_FILE names it.',
    ])
  })

  test('that set nothing are told, unless somebody else means them', async () => {
    const env = {
      SLUICE_LOG_LEVL: 'debug',
      SLUICE_MINE: 'x',
      SLUICE_CONFIG: '/etc/sluice',
      SLUICE_ADMIN_KEY: 'x',
      SLUICE_REGISTRATION: 'registration.yaml',
      SLUICE_CONFIGURATION_ROOTS: '[]',
      SLUICE_CONTROL_PLANE_PASSPHRASE: 'x',
      SLUICE_SERVICE_HOST: '10.0.0.1',
      SLUICE_SERVICE_PORT_HTTP: '80',
      SLUICE_ADMIN_SERVICE_HOST: '10.0.0.1',
      SLUICE_PORT: 'tcp://10.0.0.1:9080',
      SLUICE_PORT_9080_TCP_ADDR: '10.0.0.1',
      HOME: '/',
    }
    assert.deepEqual((await given(env, new Set(['SLUICE_MINE']))).findings, [
      'unknown-setting: the environment variable SLUICE_LOG_LEVL sets nothing Did you mean SLUICE_LOG_LEVEL?',
    ])
  })
})

suite('what counts', () => {
  const yaml =
    'gateway: { log: { level: error }, timeouts: { header: 7s, drain: 9s }, listeners: [{ port: 1 }] }'

  test('is the flag, then the environment, then the file, then the default', async (t) => {
    const env = { SLUICE_LOG_LEVEL: 'warn', SLUICE_TIMEOUTS_HEADER: '8s', SLUICE_LISTENERS: '2,3' }
    const { settings: read, findings } = await settings(t, yaml, env, ['log.level=debug', 'workers=3'])
    assert.equal(read?.log.level, 'debug')
    assert.equal(read?.workers, 3)
    assert.deepEqual(
      [read?.timeouts.header, read?.timeouts.drain, read?.timeouts.keepalive],
      [8000, 9000, 60_000],
    )
    assert.deepEqual(
      read?.listeners.map(({ name, host, port }) => [name, host, port]),
      [
        ['http', '0.0.0.0', 2],
        ['http-2', '0.0.0.0', 3],
      ],
    )
    assert.deepEqual(findings.slice(0, 2), [
      'info used-setting: SLUICE_LISTENERS sets gateway.listeners',
      'info used-setting: SLUICE_TIMEOUTS_HEADER sets gateway.timeouts.header',
    ])
  })

  test('has to fit, and a finding names the variable and no value', async (t) => {
    const env = {
      SLUICE_WORKERS: 'many-secrets',
      SLUICE_HEALTH_CHECKS: 'yes',
      SLUICE_LISTENERS: '8080,here',
      SLUICE_ADMIN_KEYS: '[{"kye":"many-secrets"}]',
      SLUICE_TIMEOUTS_HEADER: '5',
    }
    const { settings: read, findings } = await settings(t, yaml, env, ['log.level=loud'])
    assert.equal(read, undefined)
    const told = findings.join('\n')
    for (const name of [...Object.keys(env), '--set log.level']) assert.match(told, new RegExp(name))
    assert.match(told, /error wrong-type: SLUICE_LISTENERS, at \[1\], must be a map/)
    assert.match(told, /error invalid-value: --set log.level must be one of trace/)
    assert.equal(told.includes('many-secrets'), false)
  })

  test('has to fit together', async (t) => {
    const collision = await settings(t, yaml, { SLUICE_CONTROL_PORT: '9999', SLUICE_METRICS_PORT: '9999' })
    assert.deepEqual(
      collision.findings.filter((finding) => finding.startsWith('error')),
      [
        'error duplicate-listener: the metrics endpoint and the control endpoint both take port 9999\n    Give one of them another port.',
      ],
    )
    const half = await settings(t, yaml, { SLUICE_DISCOVERY_CONSUL_TOKEN: 'x' })
    assert.match(
      half.findings.join('\n'),
      /error missing-field: gateway\.discovery\.consul \(with SLUICE_DISCOVERY_CONSUL_TOKEN\)/,
    )
  })
})

test('a flag names its setting', () => {
  assert.deepEqual(settingOfFlag('log.levl=debug'), {
    problem: 'there is no setting log.levl: did you mean log.level?',
  })
  assert.deepEqual(settingOfFlag('log.level'), { problem: "--set takes NAME=VALUE, not 'log.level'" })
  const { value } = settingOfFlag('forwarding.via=a=b') as GivenSetting
  assert.equal(value, 'a=b')
})
