import { compileSubstitution } from '../kit/index.ts'

/** What is told in place of a value; null: nothing. Texts have one character a byte. */
export type Change = (value: string) => string | null

export interface ChangeRule {
  readonly action: 'regex' | 'replace' | 'remove'
  readonly regex?: string
  readonly value?: string
}

/** `problem` completes the sentence "the expression ...". */
export function compileChange({ action, regex = '', value = '' }: ChangeRule): Change | { problem: string } {
  if (action === 'remove') return () => null
  const bytes = Buffer.from(value).toString('latin1')
  if (action === 'replace') return () => bytes
  const substitution = compileSubstitution(regex, value)
  return 'problem' in substitution ? substitution : (text) => substitution.apply(text, false)
}
