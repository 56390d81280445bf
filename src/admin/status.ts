/** Status as APISIX and Flex Gateway have it: whether the gateway runs, and whether every data thread has its configuration. */
import type { SupervisorStatus } from '../proxy/supervisor.ts'
import type { Answer, Endpoints } from './server.ts'

/** `status` is asked at each request. */
export function statusEndpoints(status: () => SupervisorStatus): Endpoints {
  const alive = () => answer(200, { status: 'ok' })
  return {
    'GET /status': alive,
    'GET /status/*': alive,
    'GET /status/ready': () => {
      const error = unready(status())
      return error === undefined ? alive() : answer(503, { status: 'error', error })
    },
  }
}

/** Flex Gateway's probes. What it can be told to take no notice of is never the reason here. */
export function probeEndpoints(status: () => SupervisorStatus): Endpoints {
  const well = () => answer(200, { status: 200, message: 'OK' })
  return {
    'GET /probes/liveness': well,
    'GET /probes/readiness': () => {
      const reason = unready(status())
      if (reason === undefined) return well()
      const message = `Gateway not started: ${reason}`
      return answer(503, { name: 'Service Unavailable', message, status: 503 })
    },
  }
}

function unready({ state, appliedAt, threads }: SupervisorStatus): string | undefined {
  if (state === 'draining' || state === 'stopped') return 'the gateway is stopping'
  const waiting = threads.find(({ listening }) => !listening)
  if (waiting !== undefined) return `worker id: ${waiting.threadId - 1} has not received configuration`
  return appliedAt === 0 ? 'no worker has received configuration' : undefined
}

/** Without a line feed, as in APISIX. */
function answer(status: number, body: object): Answer {
  return { status, contentType: 'application/json', body: JSON.stringify(body) }
}
