import { parseArgs } from 'node:util'
import { version } from '../version.ts'
import { type Command, exitCode, UsageError } from './command.ts'

export const command: Command = {
  name: 'version',
  summary: 'Print the version of the gateway and of the Node.js that runs it',
  usage: 'sluice version [--format text|json]',
  options: [{ flags: '--format text|json', text: 'How to print it (default: text)' }],
  examples: ['sluice version', 'sluice version --format json'],

  async run(argv, io) {
    const { values } = parseArgs({ args: argv, options: { format: { type: 'string', default: 'text' } } })
    switch (values.format) {
      case 'text':
        io.stdout.write(
          `sluice ${version} (Node.js ${process.versions.node}, ${process.platform} ${process.arch})\n`,
        )
        return exitCode.ok
      case 'json':
        io.stdout.write(`${JSON.stringify(facts())}\n`)
        return exitCode.ok
      default:
        throw new UsageError(`--format is text or json, not '${values.format}'`)
    }
  },
}

function facts(): Record<string, string> {
  return { version, node: process.versions.node, platform: process.platform, arch: process.arch }
}
