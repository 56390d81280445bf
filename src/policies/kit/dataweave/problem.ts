/** What is wrong with an expression. Found when the plan is built, or while it is worked out for one request. */
export class DataWeaveProblem extends Error {
  /** Characters from the start of the expression, where it is known. */
  readonly offset: number | undefined
  readonly hint: string | undefined

  constructor(message: string, offset?: number, hint?: string) {
    super(message)
    this.offset = offset
    this.hint = hint
  }
}

/** `line 1, column 7: … (…)`, for findings. */
export function describeProblem({ message, offset, hint }: DataWeaveProblem, text: string): string {
  const advice = hint === undefined ? '' : ` (${hint})`
  if (offset === undefined) return `${message}${advice}`
  const before = text.slice(0, offset)
  const line = before.split('\n').length
  const column = offset - before.lastIndexOf('\n')
  return `line ${line}, column ${column}: ${message}${advice}`
}
