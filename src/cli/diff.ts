import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import type { ExportedConfiguration, SecretQuestion } from '../admin/exported-configuration.ts'
import {
  type Difference as Change,
  type ComparedConfiguration,
  compare,
  comparedConfiguration,
  type FoundSecret,
  redactedConfiguration,
  secretsOf,
  valueIn,
} from '../config/comparison.ts'
import { resourceKinds } from '../config/plan.ts'
import { formatPath } from '../config/problem.ts'
import { Provenance, type SourcePosition } from '../config/provenance.ts'
import { secretDigest } from '../config/secret-digest.ts'
import { redacted, SecretFields } from '../config/secret-fields.ts'
import { catalogue, policySchemas } from '../policies/index.ts'
import { version } from '../version.ts'
import { type CliIo, type Command, exitCode, UsageError } from './command.ts'
import { formatOf, readConfiguration } from './configuration.ts'
import { printErrors } from './findings.ts'
import { askGateway, gatewayUrl } from './gateway-client.ts'

export const command: Command = {
  name: 'diff',
  summary: 'Compare two configurations: what differs in effect, not in writing',
  usage: 'sluice diff A B [--format text|json]',
  options: [
    { flags: 'A, B', text: 'A file, a folder, or the URL of the control port of a running gateway' },
    { flags: '--format text|json', text: 'How to print the differences (default: text)' },
  ],
  examples: ['sluice diff old.yaml new.yaml', 'sluice diff http://127.0.0.1:9090 /etc/sluice --format json'],

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

    const secrets = new SecretFields(policySchemas(catalogue))
    const changes = await findDifferences(before, after, secrets, io)
    const differences = describe(changes, before, after, secrets)
    const report = { equal: differences.length === 0, differences }
    io.stdout.write(format === 'json' ? `${JSON.stringify(report, null, 2)}\n` : asText(differences))
    return report.equal ? exitCode.ok : exitCode.different
  },
}

interface Side {
  configuration: ComparedConfiguration
  /** Where its parts were written; absent for a gateway. */
  provenance?: Provenance
  /** Of a running gateway, whose secrets are not in its configuration. */
  gateway?: URL
}

/** Undefined after its findings were printed. */
async function readSide(source: string, io: CliIo): Promise<Side | undefined> {
  if (/^https?:/i.test(source)) return readGateway(source)
  const { plan, configuration, documents, findings } = await readConfiguration([source], io)
  if (plan !== undefined && configuration !== undefined) {
    return {
      configuration: comparedConfiguration(plan.settings, configuration, version),
      provenance: new Provenance(documents),
    }
  }
  printErrors(findings, io)
  return undefined
}

async function readGateway(source: string): Promise<Side> {
  const gateway = gatewayUrl(source)
  const { settings, resources } = (await askGateway(
    gateway,
    'GET',
    '/v1/configuration',
  )) as ExportedConfiguration
  const maps = resourceKinds.map((kind) => [kind, new Map(Object.entries(resources[kind] ?? {}))])
  return { gateway, configuration: { settings, resources: Object.fromEntries(maps) } }
}

/** What differs. Of secrets on one side only their digests leave this process, and only towards the gateway compared with. */
async function findDifferences(
  before: Side,
  after: Side,
  secrets: SecretFields,
  io: CliIo,
): Promise<Change[]> {
  if (before.gateway === undefined && after.gateway === undefined) {
    return compare(before.configuration, after.configuration)
  }
  const changes = compare(
    redactedConfiguration(before.configuration, secrets),
    redactedConfiguration(after.configuration, secrets),
  )
  if (before.gateway !== undefined && after.gateway !== undefined) {
    io.stderr.write('Secrets were not compared: neither gateway shows its own.\n')
    return changes
  }
  const [files, running] = before.gateway === undefined ? [before, after] : [after, before]
  const shared = secretsOf(files.configuration, secrets).filter(
    (secret) => valueIn(running.configuration, secret, secret.path) === redacted,
  )
  const same = await askWhichAreSame(running.gateway!, shared)
  const others = shared.filter((_, index) => !same[index])
  return [
    ...changes,
    ...others.map(({ kind, id, path }) => ({ kind, id, path, before: redacted, after: redacted })),
  ]
}

async function askWhichAreSame(gateway: URL, secrets: readonly FoundSecret[]): Promise<boolean[]> {
  if (secrets.length === 0) return []
  const nonce = randomBytes(32).toString('base64url')
  const question: SecretQuestion = {
    nonce,
    secrets: secrets.map(({ kind, id, path, value }) => ({
      kind,
      id,
      path,
      digest: secretDigest(nonce, value),
    })),
  }
  const answer = await askGateway(gateway, 'POST', '/v1/configuration/secrets', question)
  return (answer as { equal: boolean[] }).equal
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

function describe(
  changes: readonly Change[],
  before: Side,
  after: Side,
  secrets: SecretFields,
): Difference[] {
  const places = before.provenance?.locate(changes) ?? []
  const newPlaces = after.provenance?.locate(changes) ?? []
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
