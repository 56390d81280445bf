import { type Finding, formatFinding } from '../config/problem.ts'
import type { CliIo } from './command.ts'

/** Where a command cannot go on, its errors say why; what is only worth knowing is left to `validate`. */
export function printErrors(findings: readonly Finding[], io: CliIo): void {
  for (const finding of findings) if (finding.severity === 'error') io.stderr.write(formatFinding(finding))
}
