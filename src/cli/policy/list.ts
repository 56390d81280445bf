import { parseArgs } from 'node:util'
import { load } from '../../config/load.ts'
import { hasErrors } from '../../config/problem.ts'
import { type AnyPolicy, catalogue } from '../../policies/index.ts'
import { policyReference } from '../../policies/reference.ts'
import { readPolicyModules } from '../../policy-modules.ts'
import { type Command, exitCode, UsageError } from '../command.ts'
import { printErrors } from '../findings.ts'
import { textTable } from '../text-table.ts'

export const command: Command = {
  name: 'policy list',
  summary: 'List every policy in the order in which they run',
  usage: 'sluice policy list [-c FILE_OR_FOLDER]... [--format text|json|markdown]',
  options: [
    {
      flags: '-c, --config FILE_OR_FOLDER',
      text: 'Also the policies that its gateway.policies leads to; repeatable',
    },
    {
      flags: '--format text|json|markdown',
      text: 'json includes schemas; markdown is the reference (default: text)',
    },
  ],
  examples: ['sluice policy list', 'sluice policy list -c sluice.yaml', 'sluice policy list --format json'],

  async run(argv, io) {
    const { values } = parseArgs({
      args: argv,
      options: {
        config: { type: 'string', short: 'c', multiple: true, default: [] },
        format: { type: 'string', default: 'text' },
      },
    })
    if (values.config.length > 0) {
      const loaded = await load(values.config, io.env, io.cwd)
      catalogue.others = await readPolicyModules(loaded, io.cwd)
      if (hasErrors(loaded.findings)) {
        printErrors(loaded.findings, io)
        return exitCode.invalid
      }
    }
    switch (values.format) {
      case 'text':
        io.stdout.write(table(inOrder()))
        return exitCode.ok
      case 'json':
        io.stdout.write(`${JSON.stringify(inOrder().map(described), null, 2)}\n`)
        return exitCode.ok
      case 'markdown':
        io.stdout.write(policyReference([...catalogue.values()]))
        return exitCode.ok
      default:
        throw new UsageError(`--format is text, json or markdown, not '${values.format}'`)
    }
  },
}

/** Two passes: the second starts when the caller is known. Within a pass, higher priorities run first. */
function inOrder(): AnyPolicy[] {
  const pass = ({ stage }: AnyPolicy) => (stage === 'identify' || stage === 'transform' ? 1 : 2)
  return [...catalogue.values()].sort((a, b) => pass(a) - pass(b) || b.priority - a.priority)
}

function table(policies: readonly AnyPolicy[]): string {
  return textTable(
    policies.map(({ name, stage, priority, summary }) => [name, stage, String(priority), summary]),
  )
}

function described({ name, summary, stage, priority, config, credential, metadata }: AnyPolicy): object {
  return { name, summary, stage, priority, config, credential, metadata }
}
