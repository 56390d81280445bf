/**
 * A process of its own that ends programs when the thread that started them is gone, however it went: the end of its
 * standard input says so. Until then it is told which there are: `+` or `-` and a number, one a line.
 */
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { graceMs, isGroupAlive, killGroup } from './process-group.ts'

/** Milliseconds between two looks at whether they have ended. */
const lookEvery = 50

// What ends the gateway must not end its guard before.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})

const programs = new Set<number>()
for await (const line of createInterface({ input: process.stdin })) {
  const program = Number(line.slice(1))
  if (line.startsWith('+')) programs.add(program)
  else programs.delete(program)
}
for (let waited = 0; waited < graceMs; waited += lookEvery) {
  for (const program of programs) if (!isGroupAlive(program)) programs.delete(program)
  if (programs.size === 0) break
  await pause(lookEvery)
}
for (const program of programs) killGroup(program)
