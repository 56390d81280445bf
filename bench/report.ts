import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Machine } from './machine.ts'
import type { Options } from './options.ts'
import { type Section, table } from './section.ts'

export interface Report {
  /** ISO 8601, UTC. */
  date: string
  machine: Machine
  options: Options
  /** Who was asked for and cannot run here. */
  absent: readonly string[]
  sections: readonly Section[]
}

/** The report as Markdown; the same text suits a terminal. */
export function markdown({ date, machine, options, absent, sections }: Report): string {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`)
  const head = [
    `# Bench of ${date.slice(0, 10)}, commit ${machine.commit}`,
    '',
    `${machine.cpu}, ${machine.cores} cores, ${machine.memory}, Linux ${machine.kernel}; ${versions.join(', ')}.`,
    `${count(options.rounds, 'round')} of ${options.seconds} s after ${options.warmup} s of warm-up${options.quick ? ' (quick)' : ''}.`,
    '',
    'Gateway on one core with one worker; wrk and the nginx upstream on the other. CPU counts user and system',
    'time of all processes of a gateway, divided by the requests that wrk saw answered. Figures are medians over',
    'rounds with [smallest-largest]; a ratio is taken to nginx, which only forwards, in the same round. Latency is',
    'that of a closed loop at saturation, which is another load for each gateway.',
    ...absent.map((line) => `\nNot measured: ${line}.`),
  ]
  return [...head, ...sections.flatMap(sectionLines), ''].join('\n')
}

/** Writes DATE-COMMIT.md and .json into a folder; gives their common path without the ending. */
export function record(folder: string, report: Report): string {
  mkdirSync(folder, { recursive: true })
  const path = join(folder, `${report.date.slice(0, 10)}-${report.machine.commit}`)
  writeFileSync(`${path}.md`, markdown(report))
  writeFileSync(`${path}.json`, `${JSON.stringify(report, null, 2)}\n`)
  return path
}

function sectionLines(section: Section): string[] {
  const notes = section.notes.map((note) => `- ${note}`)
  return [
    '',
    `## ${section.name}`,
    '',
    section.summary,
    '',
    table(section),
    ...(notes.length ? ['', ...notes] : []),
  ]
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
