import { parseArgs } from 'node:util'
import { compare, comparedConfiguration } from '../config/comparison.ts'
import { formatFinding, formatPath } from '../config/problem.ts'
import { Provenance, type SourcePosition } from '../config/provenance.ts'
import { SecretFields } from '../config/secret-fields.ts'
import { catalogue, policySchemas } from '../policies/index.ts'
import { type CliIo, type Command, exitCode, UsageError } from './command.ts'
import { formatOf, readConfiguration } from './configuration.ts'

export const command: Command = {
  name: 'diff',
  summary: 'Compare two configurations: what differs in effect, not in writing',
  usage: 'sluice diff A B [--format text|json]',
  options: [
    { flags: 'A, B', text: 'A file or a folder' },
    { flags: '--format text|json', text: 'How to print the differences (default: text)' },
  ],
  examples: ['sluice diff old.yaml new.yaml', 'sluice diff /etc/sluice examples/quickstart --format json'],

  async run(argv, io) {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: { format: { type: 'string', default: 'text' } },
    })
    const format = formatOf(values.format)
    const [a, b, ...others] = positionals
    if (a === undefined || b === undefined || others.length > 0) {
      throw new UsageError('diff takes two configurations')
    }
    const [before, after] = [await readSide(a, io), await readSide(b, io)]
    if (before === undefined || after === undefined) return exitCode.invalid

    const differences = describe(before, after)
    const report = { equal: differences.length === 0, differences }
    io.stdout.write(format === 'json' ? `${JSON.stringify(report, null, 2)}\n` : asText(differences))
    return report.equal ? exitCode.ok : exitCode.different
  },
}

interface Side {
  configuration: ReturnType<typeof comparedConfiguration>
  provenance: Provenance
}

/** Undefined after its findings were printed. */
async function readSide(source: string, io: CliIo): Promise<Side | undefined> {
  const { plan, declarations, findings } = await readConfiguration([source], io)
  if (plan !== undefined && declarations !== undefined) {
    return {
      configuration: comparedConfiguration(plan.settings, declarations),
      provenance: new Provenance(declarations),
    }
  }
  for (const finding of findings) if (finding.severity === 'error') io.stderr.write(formatFinding(finding))
  return undefined
}

/** A difference as it is shown: without secrets, with the places of both sides. */
interface Difference {
  /** `routes/orders`; `gateway` for the settings. */
  resource: string
  change: 'added' | 'removed' | 'changed'
  /** `plugins.limit-count.count`; empty for the whole resource. */
  path: string
  /** Absent: it is not there. */
  before?: unknown
  after?: unknown
  /** What differs is a secret, and is not shown. */
  secret?: true
  /** Where it was written; absent for what comes from a default. */
  place_before?: SourcePosition
  place_after?: SourcePosition
}

function describe(before: Side, after: Side): Difference[] {
  const secrets = new SecretFields(policySchemas(catalogue))
  const changes = compare(before.configuration, after.configuration)
  const places = before.provenance.locate(changes)
  const newPlaces = after.provenance.locate(changes)
  return changes.map((change, index) => {
    const shown = (value: unknown) => secrets.redact(change, value, change.path)
    const [old, now] = [shown(change.before), shown(change.after)]
    const place = places[index]
    const newPlace = newPlaces[index]
    return {
      resource: change.kind === 'gateway' ? 'gateway' : `${change.kind}/${change.id}`,
      change: change.before === undefined ? 'added' : change.after === undefined ? 'removed' : 'changed',
      path: formatPath(change.path),
      ...(old !== undefined && { before: old }),
      ...(now !== undefined && { after: now }),
      ...(secrets.has(change, change.path) && { secret: true }),
      ...(old !== undefined && place !== undefined && { place_before: place }),
      ...(now !== undefined && newPlace !== undefined && { place_after: newPlace }),
    }
  })
}

const marks = { added: '+', removed: '-', changed: '~' } as const

function asText(differences: readonly Difference[]): string {
  if (differences.length === 0) return 'no differences\n'
  const lines: string[] = []
  for (const [resource, ofResource] of Map.groupBy(differences, (difference) => difference.resource)) {
    const [first] = ofResource as [Difference]
    if (first.path === '') lines.push(`${marks[first.change]} ${resource}${places(first)}`)
    else {
      lines.push(`~ ${resource}`)
      for (const difference of ofResource) lines.push(`  ${marks[difference.change]} ${line(difference)}`)
    }
  }
  return `${lines.join('\n')}\n\n${tally(differences)}\n`
}

function line(difference: Difference): string {
  const { path, change, before, after, secret } = difference
  const values =
    change === 'added'
      ? text(after)
      : change === 'removed'
        ? text(before)
        : `${text(before)} -> ${text(after)}`
  return `${path}: ${secret ? `${change}, a secret` : values}${places(difference)}`
}

const longestText = 100

function text(value: unknown): string {
  const whole = JSON.stringify(value)
  return whole.length <= longestText ? whole : `${whole.slice(0, longestText)}...`
}

function places({ place_before: before, place_after: after }: Difference): string {
  const shown = [before, after].map((place) => place && at(place))
  const known = shown.filter((place) => place !== undefined)
  return known.length === 0 ? '' : `  (${known.join(' -> ')})`
}

function at({ file, line }: SourcePosition): string {
  return line === undefined ? file : `${file}:${line}`
}

function tally(differences: readonly Difference[]): string {
  const whole = differences.filter(({ path }) => path === '')
  const changed = new Set(differences.filter(({ path }) => path !== '').map(({ resource }) => resource))
  return [
    `${whole.filter(({ change }) => change === 'added').length} added`,
    `${whole.filter(({ change }) => change === 'removed').length} removed`,
    `${changed.size} changed`,
  ].join(', ')
}
