import { execFileSync } from 'node:child_process'

/** Undefined when the program is in the PATH, else what is missing. */
export function missingProgram(name: string): string | undefined {
  try {
    execFileSync('which', [name], { stdio: 'ignore' })
    return undefined
  } catch {
    return `${name} is not installed`
  }
}
