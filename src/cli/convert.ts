import { parseArgs } from 'node:util'
import { isFlexResource } from '../config/dialects/flex/names.ts'
import { translateFlex } from '../config/dialects/flex.ts'
import type { Environment } from '../config/environment.ts'
import { load, type SourceDocument } from '../config/load.ts'
import { type Finding, formatFinding, hasErrors } from '../config/problem.ts'
import { Report } from '../config/report.ts'
import { checkWithPolicies } from '../policy-modules.ts'
import { version } from '../version.ts'
import { type Command, CommandError, exitCode, UsageError } from './command.ts'

export const command: Command = {
  name: 'convert',
  summary: 'Print what resources of Flex Gateway come to, as those of APISIX',
  usage: 'sluice convert --to apisix FILE_OR_FOLDER...',
  options: [{ flags: '--to apisix', text: 'The form that is wanted; there is one' }],
  examples: ['sluice convert --to apisix conf.d > sluice.yaml'],

  async run(argv, io) {
    const { values, positionals } = parseArgs({
      args: argv,
      options: { to: { type: 'string' } },
      allowPositionals: true,
    })
    if (values.to !== 'apisix') throw new UsageError('--to is apisix')
    if (positionals.length === 0) throw new UsageError('name the files or folders to convert')
    const loaded = await load(positionals, io.env, io.cwd)
    if (!loaded.documents.some(isFlexResource)) {
      for (const finding of loaded.findings) io.stderr.write(formatFinding(finding))
      throw new CommandError(`there is no resource of Flex Gateway in ${positionals.join(', ')}`)
    }
    const { findings } = await checkWithPolicies(loaded, io.cwd, { gatewayVersion: version, planOnly: true })
    const unexpanded = await load(positionals, byName(io.env), io.cwd)
    const documents = unexpanded.documents.filter(isFlexResource)
    const made = translateFlex(documents, { env: io.env, isStrict: true }, new Report([]))
    io.stdout.write(remarks(findings, unexpanded.documents.length - documents.length))
    if (made !== undefined) io.stdout.write(await asYaml(made))
    for (const finding of findings) if (finding.severity === 'error') io.stderr.write(formatFinding(finding))
    return hasErrors(findings) ? exitCode.invalid : exitCode.ok
  },
}

/** References to the environment stay references, so that no secret is printed. */
function byName(env: Environment): Environment {
  return new Proxy(env, {
    get: (target, name) =>
      typeof name === 'string' && !/^(FLEX|SLUICE)_/.test(name) ? `\${${name}}` : Reflect.get(target, name),
  })
}

/** What has no equal, as comments. */
function remarks(findings: readonly Finding[], others: number): string {
  const lines = [
    'Made by `sluice convert --to apisix`. Policies that end in -flex, _meta.order, contracts and gateway are',
    'those of Sluice: APISIX itself does not have them.',
    ...(others === 0 ? [] : [`${others} documents that are not of Flex Gateway are left out.`]),
  ]
  const told = findings.filter(({ code }) => code !== 'used-setting')
  if (told.length > 0) lines.push('', 'What has no equal, or has to be put right:')
  for (const finding of told) lines.push(...formatFinding(finding).trimEnd().split('\n'))
  return `${lines.map((line) => `# ${line}`.trimEnd()).join('\n')}\n\n`
}

async function asYaml(made: SourceDocument): Promise<string> {
  const { Document, isMap, isSeq } = await import('yaml')
  const { gateway, ...lists } = made.value as Record<string, unknown>
  const document = new Document({ ...(gateway !== undefined && { gateway }), ...lists })
  for (const kind of Object.keys(lists)) {
    const list = document.get(kind)
    if (!isSeq(list)) continue
    const positions = made.locate(list.items.map((_, index) => ({ path: [kind, index], at: 'value' })))
    for (const [index, item] of list.items.entries()) {
      const { file = made.file, line, path = '' } = positions[index] ?? {}
      if (isMap(item))
        item.commentBefore = ` ${file}${line === undefined ? '' : `:${line}`} ${path}`.trimEnd()
    }
  }
  return document.toString({ lineWidth: 0 })
}
