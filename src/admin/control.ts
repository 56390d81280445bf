/** What the gateway runs, for people and tools on the same machine. */
import { type Plan, resourceKinds } from '../config/plan.ts'
import { routeTable } from '../proxy/route-table.ts'
import type { SupervisorStatus } from '../proxy/supervisor.ts'
import { type Endpoints, json } from './server.ts'

export function controlEndpoints(plan: () => Plan, status: () => SupervisorStatus): Endpoints {
  return {
    /** `applied_at` is null before the first plan is in use; `resources` counts by kind. */
    'GET /v1/plan': () => {
      const current = plan()
      const { appliedAt } = status()
      return json(200, {
        version: current.version,
        applied_at: appliedAt === 0 ? null : new Date(appliedAt).toISOString(),
        resources: Object.fromEntries(resourceKinds.map((kind) => [kind, current[kind].size])),
      })
    },
    /** Every route under each of its hosts and paths; the first that fits a request serves it. */
    'GET /v1/route_table': () => json(200, routeTable(plan())),
  }
}
