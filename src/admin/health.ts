/** Health as orchestrators ask for it: alive, ready for traffic, started. */
import type { SupervisorStatus } from '../proxy/supervisor.ts'
import { type Answer, type Endpoints, text } from './server.ts'

export interface Check {
  name: string
  passed: boolean
  detail: string
}

/** `status` is asked at each request. `remarks` are shown, and decide nothing. */
export function healthEndpoints(
  status: () => SupervisorStatus,
  remarks: () => readonly Check[] = () => [],
): Endpoints {
  return {
    // That it is answered is the answer: the event loop of the control thread turns.
    'GET /livez': () => text(200, 'ok\n'),
    'GET /readyz': ({ query }) => report(readiness(status()), query.has('verbose'), remarks()),
    'GET /startupz': ({ query }) => report(startup(status()), query.has('verbose')),
  }
}

function readiness(status: SupervisorStatus): Check[] {
  const { state, threads } = status
  const listening = threads.filter((thread) => thread.listening).length
  return [
    ...startup(status),
    {
      name: 'listening',
      passed: listening > 0,
      detail: `${listening} of ${threads.length} data threads`,
    },
    { name: 'not draining', passed: state === 'starting' || state === 'running', detail: state },
  ]
}

function startup({ appliedAt, version }: SupervisorStatus): Check[] {
  const applied = appliedAt > 0
  return [{ name: 'plan applied', passed: applied, detail: applied ? `version ${version}` : 'none yet' }]
}

function report(checks: readonly Check[], verbose: boolean, remarks: readonly Check[] = []): Answer {
  const failed = checks.filter(({ passed }) => !passed)
  const status = failed.length === 0 ? 200 : 503
  if (verbose) return text(status, [...checks, ...remarks].map(line).join(''))
  if (failed.length === 0) return text(status, 'ok\n')
  return text(status, `not ready: ${failed.map(({ name, detail }) => `${name} (${detail})`).join(', ')}\n`)
}

function line({ name, passed, detail }: Check): string {
  return `[${passed ? '+' : '-'}] ${name}: ${detail}\n`
}
