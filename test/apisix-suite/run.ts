/**
 * Replays APISIX's own tests, with the maintainers' runner that stands beside the checkout, against gateways started
 * for them. The tests are read from a checkout of apache/apisix that `APISIX_SUITE` names. Further arguments go to the
 * runner: `npm run test:apisix -- --dirs t/router --only 'TEST 3'`.
 *
 * The ports are those that the tests name, so two runs on one machine need a network namespace each:
 * `unshare --net` with the loopback interface up.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const runner = fileURLToPath(new URL('../../../shared/suites/apisix/run.mjs', import.meta.url))
const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const suite = process.env.APISIX_SUITE
const key = 'suite-key-0123456789'

/**
 * What the runner's notes ask of a gateway. What single tests ask for comes in a file of APISIX's own kind and does not
 * reach what stands under `gateway:`.
 */
const base = (folder: string) => `
gateway:
  listeners:
    - { host: 127.0.0.1, port: 1984 }
    - { host: "::1", port: 1984 }
    - { host: 127.0.0.1, port: 9443, protocol: https }
    - { host: 127.0.0.1, port: 1994, protocol: https }
    - { host: 127.0.0.1, port: 1985, protocol: tcp }
    - { host: 127.0.0.1, port: 2005, protocol: tls }
  server: APISIX/3.18.0
  forwarding: { replace_server: true }
  # What its upstreams show is not looked at there, whatever tls.verify says.
  upstream_tls: { verify: never }
  tls: { protocols: [TLSv1.1, TLSv1.2, TLSv1.3] }
  workers: 1
  control: { port: 9090 }
  status: { enabled: true }
  # The keys of APISIX's own default, which blocks after one that names a key still read with.
  admin: { enabled: true, port: 9180, keys: [{ name: suite, key: ${key} }], keyring: [qeddd145sfvddff3, edd1c9f0985e76a2] }
  # Kept over restarts, as etcd keeps them: the runner puts back what it wrote in another order than that of their use.
  data_dir: ${join(folder, 'data')}
  # As APISIX has them, in a folder that is empty at the start.
  cache:
    zones:
      - { name: disk_cache_one, path: ${join(folder, 'disk_cache_one')} }
      - { name: disk_cache_two, path: ${join(folder, 'disk_cache_two')} }
      - { name: memory_cache }
apisix:
  trusted_addresses: [127.0.0.1]
`

process.exit(missing() ?? (await replay(suite!, process.argv.slice(2))))

function missing(): number | undefined {
  if (existsSync(runner) && suite !== undefined && existsSync(join(suite, 't'))) return undefined
  process.stdout.write(
    'Skipped: the APISIX suite is not part of this repository. It needs its runner beside the checkout\n' +
      '(../shared/suites/apisix) and a checkout of apache/apisix that APISIX_SUITE names.\n',
  )
  return 0
}

async function replay(checkout: string, extra: readonly string[]): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-apisix-'))
  const settings = join(folder, 'config.yaml')
  await writeFile(settings, base(folder))
  const start = `${process.execPath} ${main} start -c ${settings} -c {conf_dir}`
  const args = [
    ['--suite', checkout],
    ['--spawn', start],
    ['--admin', 'http://127.0.0.1:9180'],
    ['--key', key],
    ['--control', 'http://127.0.0.1:9090'],
    ['--tls', 'https://127.0.0.1:9443'],
    ['--stream', '127.0.0.1:1985'],
    ['--stream-tls', '127.0.0.1:2005'],
    // The gateway runs in the same folder.
    ['--files', process.cwd()],
  ].flat()
  if (!extra.includes('--dirs')) {
    args.push('--dirs', `@${join(runner, '../public.txt')}`)
    args.push('--calibrated', join(runner, '../calibration.json'))
  }
  try {
    const child = spawn(process.execPath, [runner, ...args, ...extra], { stdio: 'inherit' })
    const [code] = (await once(child, 'exit')) as [number | null]
    return code ?? 1
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
