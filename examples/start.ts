/**
 * Starts one example: two replicas of the users API, then the gateway with the example's folder, both in this process.
 * What it prints to paste is the walk-through of the example's README. Ctrl-C stops everything.
 *
 *     node examples/start.ts quickstart
 *
 * Ports come from the environment, for machines where the defaults are taken: GATEWAY_PORT (9080), METRICS_PORT (9091),
 * CONTROL_PORT (9090), USERS_A_PORT (9101), USERS_B_PORT (9102).
 */
import { once } from 'node:events'
import type { Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { runProgram } from '../src/cli/program.ts'
import { usersApi } from './users-api.ts'
import { walkthrough } from './walkthrough.ts'

const { env, stdout } = process
const ports = {
  gateway: env.GATEWAY_PORT ?? '9080',
  metrics: env.METRICS_PORT ?? '9091',
  usersA: env.USERS_A_PORT ?? '9101',
  usersB: env.USERS_B_PORT ?? '9102',
}

process.exit(await start(process.argv[2] ?? 'quickstart'))

async function start(example: string): Promise<number> {
  const folder = new URL(`./${example}/`, import.meta.url)
  const replicas = await Promise.all([replica('a', ports.usersA), replica('b', ports.usersB)])
  const io = { stdout, stderr: process.stderr, env, cwd: process.cwd(), isTTY: stdout.isTTY }
  const running = runProgram(['start', '-c', fileURLToPath(folder)], io)

  if (await ready(running)) stdout.write(banner(example, new URL('README.md', folder)))
  const code = await running
  for (const server of replicas) server.close()
  return code
}

async function replica(name: string, port: string): Promise<Server> {
  const server = usersApi(name).listen(Number(port), '127.0.0.1')
  await once(server, 'listening')
  return server
}

/** True once the gateway serves; false when it ended before. */
async function ready(running: Promise<number>): Promise<boolean> {
  let ended = false
  const watch = running.then(() => {
    ended = true
  })
  while (!ended) {
    const answer = await fetch(`http://127.0.0.1:${ports.metrics}/readyz`).catch(() => undefined)
    if (answer?.status === 200) return true
    await Promise.race([watch, sleep(20)])
  }
  return false
}

function banner(example: string, readme: URL): string {
  const steps = walkthrough(readme).map(({ text, command }) => `  # ${plain(text)}\n  ${here(command)}\n`)
  return `
The ${example} example runs, with two replicas of its API behind the gateway:
  users a    http://127.0.0.1:${ports.usersA}
  users b    http://127.0.0.1:${ports.usersB}
Ctrl-C stops everything.

In another terminal:

${steps.join('\n')}
`
}

/** A sentence of Markdown without its marks. */
function plain(text: string): string {
  return text.replace(/^[\d.\-\s]+|[`*]/g, '').replace(/:$/, '')
}

/** The README's command with the ports of this run. */
function here(command: string): string {
  return command.replaceAll(':9080', `:${ports.gateway}`).replaceAll(':9091', `:${ports.metrics}`)
}
