/**
 * Runs the maintainers' wire suite, which stands beside the checkout, against a gateway started for it.
 * Further arguments go to the suite: `npm run test:wire -- --only '^cl-' --dump`.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { timeouts, wireConfig } from '../conformance/wire-config.ts'
import { freePort, startGateway } from '../harness/gateway.ts'

const suite = new URL('../../../shared/suites/wire/run.mjs', import.meta.url)

process.exit(existsSync(suite) ? await runSuite(process.argv.slice(2)) : skipped())

async function runSuite(extra: string[]): Promise<number> {
  const upstreamPort = await freePort()
  const gateway = await startGateway((port) => wireConfig(port, upstreamPort, {}))
  try {
    const args = [
      ['--proxy', `127.0.0.1:${gateway.port}`],
      ['--upstream-port', String(upstreamPort)],
      ['--name', 'sluice'],
      ['--header-timeout', String(timeouts.header)],
      ['--body-timeout', String(timeouts.bodyIdle)],
      ['--idle-timeout', String(timeouts.keepalive)],
      ['--upstream-timeout', String(timeouts.upstream)],
      ['--pid', String(gateway.pid)],
    ].flat()
    const child = spawn(process.execPath, [fileURLToPath(suite), ...args, ...extra], { stdio: 'inherit' })
    const [code] = (await once(child, 'exit')) as [number | null]
    if (code !== 0) process.stdout.write(gateway.output())
    return code ?? 1
  } finally {
    await gateway.stop()
  }
}

function skipped(): number {
  process.stdout.write(
    'Skipped: the wire suite is not part of this repository and not beside the checkout (../shared/suites/wire).\n' +
      'Cases of the same kind are in test/conformance and run with npm test.\n',
  )
  return 0
}
