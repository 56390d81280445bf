import { availableParallelism } from 'node:os'
import { delimiter, extname } from 'node:path'
import { parseArgs } from 'node:util'
import { SpareThreads } from '../proxy/spare-threads.ts'
import type { Command } from './command.ts'
import { settingFlags } from './setting-flags.ts'

export const command: Command = {
  name: 'start',
  summary: 'Run the gateway',
  usage: 'sluice start [-c FILE_OR_FOLDER]... [--set NAME=VALUE]... [--check-only]',
  options: [
    {
      flags: '-c, --config FILE_OR_FOLDER',
      text: 'What to run; repeatable (default: SLUICE_CONFIG, then ./sluice.yaml, then /etc/sluice/)',
    },
    { flags: '--set NAME=VALUE', text: 'A single setting, such as log.level=debug; repeatable' },
    { flags: '--check-only', text: 'Check the configuration and end' },
  ],
  examples: [
    'sluice start',
    'sluice start -c examples/quickstart',
    'sluice start --set log.level=debug --set listeners=8080,127.0.0.1:8081',
    'sluice start -c apisix.yaml -c config.yaml --check-only',
  ],

  async run(argv, io) {
    const { values } = parseArgs({
      args: argv,
      options: {
        config: { type: 'string', short: 'c', multiple: true, default: [] },
        set: { type: 'string', multiple: true, default: [] },
        'check-only': { type: 'boolean', default: false },
      },
    })
    const named = values.config.length > 0 ? values.config : fromEnvironment(io.env.SLUICE_CONFIG)
    const flags = await settingFlags(values.set)
    if (values['check-only']) return (await import('./serve.ts')).checkOnly(named, io, flags)

    // The threads load their modules while this one loads its own and reads the configuration.
    const threads = new SpareThreads(dataThread, earlyThreads)
    return (await import('./serve.ts')).serve(named, threads, io, flags)
  },
}

/** Several names stand beside each other as in PATH. */
function fromEnvironment(value: string | undefined): string[] {
  return (value ?? '').split(delimiter).filter((name) => name !== '')
}

/** The name differs between a checkout and what is installed, and the build rewrites only imports. */
const dataThread = new URL(`../data-thread${extname(import.meta.url)}`, import.meta.url)
/** What a small configuration on a small machine needs; more would cost a short start more than it gains. */
const earlyThreads = Math.min(2, availableParallelism())
