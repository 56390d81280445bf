import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { catalogue } from '../src/policies/index.ts'
import type { Bench, Scenario } from './bench.ts'
import { unit } from './comparison.ts'
import { machine } from './machine.ts'
import { opponents } from './opponents/index.ts'
import { missingProgram } from './opponents/program.ts'
import { type Options, readOptions, usage } from './options.ts'
import { markdown, type Report, record } from './report.ts'
import { scenarios } from './scenarios/index.ts'
import { policyCosts } from './scenarios/policies.ts'
import type { Section } from './section.ts'
import { openSite } from './site.ts'

// Programs that were started end with this process (launch.ts), however it ends.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

process.exitCode = await main(process.argv.slice(2))

async function main(argv: string[]): Promise<number> {
  let options: Options | undefined
  try {
    options = readOptions(argv)
    if (options === undefined) {
      process.stdout.write(usage)
      return 0
    }
    known('scenario', options.scenarios, scenarios)
    known('policy', options.policies ?? [], [...catalogue.values()])
    known('opponent', options.opponents, opponents)
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`)
    return 2
  }
  for (const program of ['wrk', 'nginx', 'taskset']) {
    const missing = missingProgram(program)
    if (missing !== undefined) {
      process.stderr.write(`The bench needs wrk, nginx and taskset: ${missing}.\n`)
      return 1
    }
  }

  const report = await bench(options)
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : markdown(report))
  if (options.record)
    process.stderr.write(`recorded ${record(join(import.meta.dirname, 'results'), report)}.{md,json}\n`)
  return 0
}

async function bench(options: Options): Promise<Report> {
  const contenders = opponents.filter(
    ({ name }) => name === unit || options.opponents.length === 0 || options.opponents.includes(name),
  )
  const absent = contenders.flatMap((it) => it.missing() ?? [])
  const site = await openSite(options.nodeArguments)
  execFileSync('taskset', ['-a', '-c', '-p', site.cores.load, String(process.pid)], { stdio: 'ignore' })
  const setting: Bench = {
    site,
    options,
    opponents: contenders.filter((it) => it.missing() === undefined),
    progress: (text) => process.stderr.write(`${text}\n`),
  }
  const sections: Section[] = []
  try {
    const asked = scenarios.filter(
      ({ name }) => options.scenarios.length === 0 || options.scenarios.includes(name),
    )
    const chosen = options.policies === undefined ? asked : [policyCosts]
    for (const scenario of chosen)
      sections.push(await scenario.run(setting).catch((error) => broken(scenario, error)))
  } finally {
    await site.stop()
  }
  return { date: new Date().toISOString(), machine: machine(), options, absent, sections }
}

/** A scenario that broke is a line in the report; the others go on. */
function broken({ name, summary }: Scenario, error: Error): Section {
  return { name, summary, columns: ['figure'], rows: [], notes: [`broke off: ${error.message}`], data: null }
}

/** Throws when a name was asked for that does not exist. */
function known(kind: string, asked: readonly string[], all: readonly { name: string }[]): void {
  const names = all.map(({ name }) => name)
  const stranger = asked.find((name) => !names.includes(name))
  if (stranger !== undefined) throw new RangeError(`No ${kind} '${stranger}'. There are: ${names.join(', ')}`)
}
