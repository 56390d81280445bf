/** What the gateway runs, for people and tools on the same machine. */
import { type Plan, resourceKinds } from '../config/plan.ts'
import { routeTable } from '../proxy/route-table.ts'
import type { SupervisorStatus } from '../proxy/supervisor.ts'
import { type Endpoints, json, text } from './server.ts'

/** The running gateway, as far as these endpoints concern it. */
export interface Controlled {
  plan(): Plan
  status(): SupervisorStatus
  /** Reads the configuration again and puts it to work. @returns why not; undefined when it is in use */
  reload(): Promise<string | undefined>
  /** The connection to a control plane; undefined: there is none. */
  sync(): object | undefined
  /** In every thread, which stands still meanwhile. */
  collectGarbage(): Promise<void>
}

export function controlEndpoints(gateway: Controlled): Endpoints {
  return {
    /** `applied_at` is null before the first plan is in use; `resources` counts by kind. */
    'GET /v1/plan': () => {
      const current = gateway.plan()
      const { appliedAt } = gateway.status()
      return json(200, {
        version: current.version,
        applied_at: appliedAt === 0 ? null : new Date(appliedAt).toISOString(),
        resources: Object.fromEntries(resourceKinds.map((kind) => [kind, current[kind].size])),
      })
    },
    /** Every route under each of its hosts and paths; the first that fits a request serves it. */
    'GET /v1/route_table': () => json(200, routeTable(gateway.plan())),
    /** How it is, in a few words; `sync` is null without a control plane. */
    'GET /v1/status': () => {
      const { state, threads, version, appliedAt, restarts, openConnections } = gateway.status()
      return json(200, {
        state,
        listening: threads.filter((thread) => thread.listening).length,
        threads: threads.length,
        restarts,
        connections: openConnections,
        plan: { version, applied_at: appliedAt === 0 ? null : new Date(appliedAt).toISOString() },
        sync: gateway.sync() ?? null,
      })
    },
    'POST /v1/gc': async () => {
      await gateway.collectGarbage()
      return text(200, '')
    },
    /** APISIX loads its plugins and their settings anew; here, all that is configured is read again. */
    'PUT /v1/plugins/reload': async () => {
      const refusal = await gateway.reload()
      return refusal === undefined ? text(200, 'done') : json(503, { error_msg: refusal })
    },
  }
}
