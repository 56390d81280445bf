/** References to secrets as far as files and environment tell; what managers hold is asked for later. */
import type { Declarations } from './declarations.ts'
import { type Environment, environmentProblem, environmentValue } from './environment.ts'
import { nearest } from './nearest.ts'
import type { SecretUse } from './policy-check.ts'
import type { Severity } from './problem.ts'
import { below, type Place, type Report } from './report.ts'
import {
  type EnvironmentReference,
  type ManagedReference,
  parseSecretReference,
  secretReferencesIn,
} from './secret-reference.ts'
import type { SecretSettings } from './settings.ts'

export interface SecretCheckOptions {
  /** Absent: variables are not looked up. */
  env: Environment | undefined
  unresolved: SecretSettings['unresolved']
}

export function checkSecrets(
  uses: readonly SecretUse[],
  managers: Declarations['secrets'],
  { env, unresolved }: SecretCheckOptions,
  report: Report,
): void {
  const severity: Severity = unresolved === 'refuse' ? 'error' : 'warning'
  for (const { text, place } of uses) {
    const reference = readReference(text, place, report)
    if (reference?.kind === 'managed') checkManager(reference, place, managers, severity, report)
    else if (reference !== undefined && env !== undefined)
      checkVariable(reference, place, env, severity, report)
  }
  for (const { input, place } of managers.values()) {
    for (const { text, path } of secretReferencesIn(input)) {
      const at = below(place, ...path)
      const reference = readReference(text, at, report)
      if (reference?.kind === 'managed') {
        report.add(at, {
          code: 'invalid-value',
          message: 'what a secret manager needs cannot be kept by a secret manager',
          hint: 'Take it from the environment, with $env://NAME.',
        })
      } else if (reference !== undefined && env !== undefined) {
        checkVariable(reference, at, env, severity, report)
      }
    }
  }
}

function readReference(text: string, place: Place, report: Report) {
  const reference = parseSecretReference(text)
  if (!('problem' in reference)) return reference
  report.add(place, {
    code: 'invalid-value',
    message: `this is no reference to a secret: ${reference.problem}`,
    hint: 'Write $env://NAME, $env://NAME/KEY or $secret://MANAGER/ID/KEY.',
  })
  return undefined
}

function checkManager(
  { manager }: ManagedReference,
  place: Place,
  managers: Declarations['secrets'],
  severity: Severity,
  report: Report,
): void {
  if (managers.has(manager)) return
  const near = nearest(manager, managers.keys())
  report.add(place, {
    code: 'dangling-reference',
    severity,
    message: `there is no secret manager ${manager}`,
    hint: near === undefined ? 'Describe it under secrets.' : `Did you mean ${near}?`,
  })
}

function checkVariable(
  reference: EnvironmentReference,
  place: Place,
  env: Environment,
  severity: Severity,
  report: Report,
): void {
  if (environmentValue(reference, env) !== undefined) return
  report.add(place, {
    code: 'missing-variable',
    severity,
    message: `the environment variable ${reference.variable} is ${environmentProblem(reference, env)}`,
    hint: 'Set it for the process.',
  })
}
