/** The commands that make, show and renew a registration, against a control plane over TLS. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, suite, test } from 'node:test'
import { runProgram } from '../../src/cli/program.ts'
import { readRegistration, writeRegistration } from '../../src/config-sync/registration.ts'
import { ControlPlane } from '../harness/control-plane.ts'

let control: ControlPlane
let folder: string

before(async () => {
  control = await ControlPlane.start()
})
after(() => control.stop())
beforeEach(async (context) => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-registration-'))
  ;(context as { after(done: () => Promise<void>): void }).after(() =>
    rm(folder, { recursive: true, force: true }),
  )
})

async function run(...argv: string[]) {
  let stdout = ''
  let stderr = ''
  const code = await runProgram(argv, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env: {},
    cwd: folder,
    isTTY: false,
  })
  return { code, stdout, stderr }
}

const create = (...flags: string[]) =>
  run('registration', 'create', 'shop-edge', `--control-plane=${control.url}`, ...flags)

suite('a registration', () => {
  test('by token is one file of two documents, for its owner alone', async () => {
    const { code, stderr } = await run(
      'register',
      'shop-edge',
      `--token=${control.newToken()}`,
      `--control-plane=${control.url}`,
      '--connected=true',
      `--output-directory=${folder}`,
    )
    assert.equal(code, 0, stderr)
    assert.deepEqual(await readdir(folder), ['registration.yaml'])
    const path = join(folder, 'registration.yaml')
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    const text = await readFile(path, 'utf8')
    assert.equal(text.match(/^---$/gm)?.length, 2)
    assert.match(text, /kind: Configuration[\s\S]*platformConnection:[\s\S]*kind: Secret[\s\S]*tls\.crt/)
    const registration = await readRegistration(path)
    assert.equal(registration.name, 'shop-edge')
    assert.equal(registration.connected, true)
    // The key never left: what went out is a request, which holds none.
    assert.equal(JSON.stringify(control.registrations.at(-1)).includes('PRIVATE KEY'), false)
    assert.equal(
      new X509Certificate(registration.certificate).subject.includes(`CN=${registration.id}`),
      true,
    )
  })

  test('in two files, when they are asked for', async () => {
    const { code, stderr } = await create(
      `--token=${control.newToken()}`,
      '--split=true',
      '--connected=false',
    )
    assert.equal(code, 0, stderr)
    assert.deepEqual(await readdir(folder), ['certificate.yaml', 'registration.yaml'])
    const { connected, key } = await readRegistration(join(folder, 'registration.yaml'))
    assert.equal(connected, false)
    assert.equal(
      (await readFile(join(folder, 'registration.yaml'), 'utf8')).includes(key.slice(40, 80)),
      false,
    )
    assert.equal((await stat(join(folder, 'certificate.yaml'))).mode & 0o777, 0o600)
  })

  test('by user, with the authority of the control plane', async () => {
    await writeFile(join(folder, 'ca.pem'), control.authority.certificate)
    const { code, stderr } = await create('--username=ada', '--password=correct horse', '--ca-file=ca.pem')
    assert.equal(code, 0, stderr)
  })

  test('is never written over another, and the token is not used up', async () => {
    const token = control.newToken()
    await writeFile(join(folder, 'registration.yaml'), 'mine')
    const refused = await create(`--token=${token}`)
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /exists already.*--output-directory/)
    assert.equal(await readFile(join(folder, 'registration.yaml'), 'utf8'), 'mine')
    await rm(join(folder, 'registration.yaml'))
    assert.equal((await create(`--token=${token}`)).code, 0)
  })

  test('leaves nothing behind when it is refused', async () => {
    const token = control.newToken()
    assert.equal((await create(`--token=${token}`)).code, 0)
    await rm(join(folder, 'registration.yaml'))
    const { code, stderr } = await create(`--token=${token}`)
    assert.equal(code, 1)
    assert.match(stderr, /no valid registration token was found \(401\): .*make a new one/)
    assert.deepEqual(await readdir(folder), [])
  })

  test('is not made with somebody in between', async () => {
    const other = await ControlPlane.start()
    try {
      const { code, stderr } = await run(
        'register',
        'shop-edge',
        `--token=${control.newToken()}`,
        `--control-plane=${other.url}`,
      )
      assert.equal(code, 1)
      assert.match(stderr, /the hash of its trust document differs/)
      assert.equal(other.registrations.length, 0)
    } finally {
      await other.stop()
    }
  })

  test('with an authority that the system does not know is refused before anything secret goes out', async () => {
    const { code, stderr } = await create('--username=ada', '--password=correct horse')
    assert.equal(code, 1)
    assert.match(stderr, /does not come from an authority that is trusted here/)
  })

  for (const [what, argv, message] of [
    ['no name', [], /Name the gateway/],
    ['a name in capitals', ['Shop'], /cannot be the name/],
    [
      'no credentials',
      ['shop'],
      /Who asks\? Give --username and --password, or --client-id and --client-secret, or --token/,
    ],
    ['half of them', ['shop', '--username=ada'], /Who asks\?/],
    ['both kinds', ['shop', '--token=x', '--username=ada'], /not both/],
    ['no control plane', ['shop', '--token=x'], /Name it with --control-plane/],
    ['one without TLS', ['shop', '--token=x', '--control-plane=http://x'], /not an https:\/\/ URL/],
    [
      'a mode that is neither',
      ['shop', '--token=x', '--control-plane=https://x', '--connected=yes'],
      /true or false/,
    ],
  ] as const) {
    test(`with ${what} is a mistake of the command line`, async () => {
      const { code, stderr } = await run('registration', 'create', ...argv)
      assert.equal(code, 2)
      assert.match(stderr, message)
    })
  }
})

suite('inspecting', () => {
  test('prints when the certificate expires, as JSON', async () => {
    const registration = control.registration()
    await writeRegistration(folder, registration, false)
    const expected = new Date(new X509Certificate(registration.certificate).validTo)
    for (const flags of [[], ['-f', 'registration.yaml'], [`--file=${join(folder, 'registration.yaml')}`]]) {
      const { code, stdout } = await run('registration', 'inspect', ...flags)
      assert.equal(code, 0)
      const { expiration_date: date } = JSON.parse(stdout)
      assert.match(stdout, /^\{"expiration_date": "\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC"\}\n$/)
      assert.equal(Date.parse(date.replace(' +0000 UTC', 'Z').replace(' ', 'T')), expected.getTime())
    }
  })

  for (const [what, text, message] of [
    ['nothing', undefined, /there is no registration at/],
    ['an empty file', '', /is empty/],
    ['something else', 'routes: []\n', /holds no registration/],
    ['a registration without its Secret', 'half', /there is no registration at .*certificate\.yaml/],
  ] as const) {
    test(`of ${what} says so`, async () => {
      const path = join(folder, 'registration.yaml')
      if (text === 'half') {
        await writeRegistration(folder, control.registration(), true)
        await rm(join(folder, 'certificate.yaml'))
      } else if (text !== undefined) await writeFile(path, text)
      const { code, stderr } = await run('registration', 'inspect', `--file=${path}`)
      assert.equal(code, 1)
      assert.match(stderr, message)
    })
  }
})

suite('renewing', () => {
  const renew = (...flags: string[]) =>
    run(
      'registration',
      'renew',
      '--username=ada',
      '--password=correct horse',
      `--output-directory=${join(folder, 'new')}`,
      ...flags,
      'registration.yaml',
    )

  beforeEach(async () => {
    const { mkdir } = await import('node:fs/promises')
    await mkdir(join(folder, 'new'))
  })

  test('writes a new file with a new key, also after the certificate expired', async () => {
    const old = control.registration({ days: -1, from: -40 })
    await writeRegistration(folder, old, false)
    const { code, stdout, stderr } = await renew()
    assert.equal(code, 0, stderr)
    assert.equal(stdout, 'Registration renewal completed\n')
    const renewed = await readRegistration(join(folder, 'new', 'registration.yaml'))
    assert.notEqual(renewed.key, old.key)
    assert.ok(new X509Certificate(renewed.certificate).validToDate.getTime() > Date.now())
    const { certificate: _, key: __, ...others } = renewed
    const { certificate: ___, key: ____, ...before } = old
    assert.deepEqual(others, before)
    assert.deepEqual(await readRegistration(join(folder, 'registration.yaml')), old)
  })

  test('takes new URLs only when told to', async () => {
    await writeRegistration(folder, control.registration(), false)
    assert.equal((await renew('--update-urls=true')).code, 0)
    assert.equal(
      (await readRegistration(join(folder, 'new', 'registration.yaml'))).platform,
      `${control.url}/`,
    )
  })

  test('never takes root keys', async () => {
    const registration = control.registration()
    await writeRegistration(folder, registration, false)
    assert.equal((await renew('--update-urls=true')).code, 0)
    assert.deepEqual(
      (await readRegistration(join(folder, 'new', 'registration.yaml'))).roots,
      registration.roots,
    )
  })

  test('refuses a folder that holds a registration', async () => {
    await writeRegistration(folder, control.registration(), false)
    assert.equal((await renew()).code, 0)
    const { code, stderr } = await renew()
    assert.equal(code, 1)
    assert.match(stderr, /exists already.*--output-directory/)
  })

  test('refuses the working directory, where none is named and it holds one', async () => {
    await writeRegistration(folder, control.registration(), false)
    const { code, stderr } = await run(
      'registration',
      'renew',
      '--username=ada',
      '--password=correct horse',
      'registration.yaml',
    )
    assert.equal(code, 1)
    assert.match(stderr, /exists already/)
  })

  test('with a wrong password names what to look at', async () => {
    await writeRegistration(folder, control.registration(), false)
    const { code, stderr } = await run(
      'registration',
      'renew',
      '--username=ada',
      '--password=x',
      '--output-directory=new',
      'registration.yaml',
    )
    assert.equal(code, 1)
    assert.match(stderr, /Unauthorized \(401\): .*second factor/)
    assert.deepEqual(await readdir(join(folder, 'new')), [])
  })

  test('where nothing listens says so', async () => {
    await writeRegistration(folder, control.registration({ platform: 'https://127.0.0.1:1' }), false)
    const { code, stderr } = await renew()
    assert.equal(code, 1)
    assert.match(stderr, /https:\/\/127\.0\.0\.1:1: nothing listens there/)
  })
})
