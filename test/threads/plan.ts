/** Plans for tests, by the same way that files take. */
import { type Catalogue, check } from '../../src/config/check.ts'
import { type Loaded, readText } from '../../src/config/load.ts'
import { type Plan, type PlanResources, resourceKinds } from '../../src/config/plan.ts'
import { formatFinding } from '../../src/config/problem.ts'

/** Throws with all findings when the text does not check. No policy is known in it but those of the catalogue. */
export function planOf(yaml: string, catalogue: Catalogue = new Map()): Plan {
  const loaded: Loaded = { documents: [], findings: [] }
  readText('test.yaml', yaml, {}, loaded)
  const { plan, findings } = check(loaded, catalogue, { gatewayVersion: '0' })
  if (plan === undefined) throw new Error(findings.map(formatFinding).join(''))
  return plan
}

/** With maps of its own; what is in them is shared. */
export function copyOf(plan: Plan): Plan {
  const maps = resourceKinds.map((kind) => [kind, new Map<string, unknown>(plan[kind])])
  return { ...plan, ...(Object.fromEntries(maps) as unknown as PlanResources) }
}
