/** Plans for tests, by the same way that files take. */
import { check } from '../../src/config/check.ts'
import { type Loaded, readText } from '../../src/config/load.ts'
import type { Plan } from '../../src/config/plan.ts'
import { formatFinding } from '../../src/config/problem.ts'

/** Throws with all findings when the text does not check. No policy is known in it. */
export function planOf(yaml: string): Plan {
  const loaded: Loaded = { documents: [], findings: [] }
  readText('test.yaml', yaml, {}, loaded)
  const { plan, findings } = check(loaded, new Map(), { gatewayVersion: '0' })
  if (plan === undefined) throw new Error(findings.map(formatFinding).join(''))
  return plan
}
