/** Run-time state at the control port: how much there is, and clearing it. */
import type { Plan } from '../config/plan.ts'
import { isOwningKind, ownerNoun, owningKinds } from '../config/resource-owners.ts'
import {
  type ClearedState,
  type StateCounts,
  type StateKind,
  stateKindNames,
  stateKinds,
} from '../proxy/run-time-state.ts'
import type { Log } from '../telemetry/log.ts'
import { type AdminRequest, type Answer, type Endpoints, json } from './server.ts'

/** Who keeps the state; the supervisor of the data threads. */
export interface StateSource {
  readonly plan: Plan
  stateCounts(): Promise<StateCounts>
  clearState(cleared: ClearedState): Promise<StateCounts>
}

/** `onClear` is called after each time. */
export function stateEndpoints(source: StateSource, log: Log, onClear: () => void): Endpoints {
  const clearedAt = new Map<StateKind, string>()
  const clear = async ({ query, body }: AdminRequest): Promise<Answer> => {
    // Whoever names a part in a body does not mean all of it.
    const hasNoBody = body.trim() === '' || body.trim() === '{}'
    const wanted = hasNoBody ? wantedState(query, source.plan) : bad(namedInBody)
    if ('problem' in wanted) return json(wanted.status, { error_msg: wanted.problem })
    const cleared = await source.clearState(wanted)
    for (const kind of wanted.kinds) clearedAt.set(kind, new Date().toISOString())
    log.info({ ...wanted, cleared }, 'run-time state was cleared by an operator')
    onClear()
    return json(200, { cleared })
  }
  return {
    /** `entries` over all threads; `cleared_at` is null while nobody cleared that kind. */
    'GET /v1/state': async () => {
      const counts = await source.stateCounts()
      const kinds = stateKindNames.map((kind) => [
        kind,
        {
          entries: counts[kind] ?? 0,
          what: stateKinds[kind],
          cleared_at: clearedAt.get(kind) ?? null,
        },
      ])
      return json(200, Object.fromEntries(kinds))
    },
    /** `?kind=limits&kind=health&resource=routes/1`: these kinds, of this resource; by default all, of all. */
    'DELETE /v1/state': clear,
    /** The same for tools that can only POST. */
    'POST /v1/state/clear': clear,
  }
}

const namedInBody = 'nothing is read from a body: what is meant stands in the query, as kind and resource'

function wantedState(query: URLSearchParams, plan: Plan): ClearedState | { status: number; problem: string } {
  for (const name of query.keys()) {
    if (name !== 'kind' && name !== 'resource')
      return bad(`there is no parameter ${name}: use kind, resource`)
  }
  const named = query.getAll('kind')
  for (const kind of named) {
    if (!Object.hasOwn(stateKinds, kind)) {
      return bad(`there is no kind of state ${kind}: use ${stateKindNames.join(', ')}`)
    }
  }
  const kinds = named.length === 0 ? stateKindNames : (named as StateKind[])
  const resource = query.get('resource')
  if (resource === null) return { kinds }
  const slash = resource.indexOf('/')
  const kind = resource.slice(0, slash)
  const id = resource.slice(slash + 1)
  if (!isOwningKind(kind)) {
    return bad(`a resource is written as KIND/ID, where KIND is one of ${owningKinds.join(', ')}`)
  }
  const noun = ownerNoun(kind)
  return plan[kind].has(id)
    ? { kinds, owner: `${noun}:${id}` }
    : { status: 404, problem: `${noun}[${id}] not found` }
}

function bad(problem: string): { status: number; problem: string } {
  return { status: 400, problem }
}
