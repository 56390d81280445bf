/** Programs and whatever they start: a program that is started in a group of its own leads the group of its number. */

/** Milliseconds that a program has to end by itself once its standard input is closed. */
export const graceMs = 2000

export function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL')
  } catch {
    // Nothing of it is left.
  }
}

export function isGroupAlive(leader: number): boolean {
  try {
    process.kill(-leader, 0)
    return true
  } catch {
    return false
  }
}
