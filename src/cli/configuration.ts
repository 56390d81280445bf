/** Reads a configuration for commands that look at it without running it. */
import type { CheckResult } from '../config/check.ts'
import { chooseSources, type Loaded, load } from '../config/load.ts'
import type { Plan } from '../config/plan.ts'
import { checkWithPolicies } from '../policy-modules.ts'
import { version } from '../version.ts'
import { type CliIo, UsageError } from './command.ts'
import { printErrors } from './findings.ts'

/** `named`: files and folders; none: those that `start` would take. */
export async function readConfiguration(
  named: readonly string[],
  io: CliIo,
): Promise<CheckResult & Pick<Loaded, 'documents'>> {
  const sources = await chooseSources(named, io.cwd, io.env)
  const loaded = await load(sources, io.env, io.cwd)
  const { documents } = loaded
  return { documents, ...(await checkWithPolicies(loaded, io.cwd, { gatewayVersion: version })) }
}

/** The plan; undefined when there is none, after its errors were printed. */
export async function readPlan(named: readonly string[], io: CliIo): Promise<Plan | undefined> {
  const { plan, findings } = await readConfiguration(named, io)
  if (plan !== undefined) return plan
  printErrors(findings, io)
  return undefined
}

/** @throws UsageError */
export function formatOf(format: string): 'text' | 'json' {
  if (format === 'text' || format === 'json') return format
  throw new UsageError(`--format is text or json, not '${format}'`)
}
