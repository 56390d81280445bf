/** Conditions where they stand in a configuration. */
import { expressionVariables, parseExpression } from './expression.ts'
import { nearest } from './nearest.ts'
import { below, type Place, type Report } from './report.ts'
import { isVariableName, variableNames } from './variable-names.ts'

/** A condition, in `vars` or in the `filter` of a policy. @returns whether it can be read */
export function checkExpression(value: unknown, place: Place, report: Report): boolean {
  const result = parseExpression(value)
  if ('problem' in result) {
    report.add(below(place, ...result.path), {
      code: 'invalid-value',
      message: result.problem,
      hint: 'A condition is [VARIABLE, OPERATOR, VALUE]; docs/guides/match-requests.md has the operators.',
    })
    return false
  }
  for (const name of expressionVariables(result.expression)) {
    if (isVariableName(name)) continue
    const near = nearest(name, variableNames)
    report.add(place, {
      code: 'unknown-variable',
      severity: 'warning',
      message: `there is no variable ${name}: it never has a value`,
      hint:
        near === undefined ? 'docs/guides/match-requests.md lists the variables.' : `Did you mean ${near}?`,
    })
  }
  return true
}
