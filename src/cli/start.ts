import { availableParallelism } from 'node:os'
import { delimiter, extname } from 'node:path'
import { parseArgs } from 'node:util'
import { SpareThreads } from '../proxy/spare-threads.ts'
import { type CliIo, type Command, UsageError } from './command.ts'
import { settingFlags } from './setting-flags.ts'

export const command: Command = {
  name: 'start',
  summary: 'Run the gateway',
  usage: 'sluice start [-c FILE_OR_FOLDER]... [--set NAME=VALUE]... [--check-only] [--with-control-plane]',
  options: [
    {
      flags: '-c, --config FILE_OR_FOLDER',
      text: 'What to run; repeatable (default: SLUICE_CONFIG, then ./sluice.yaml, then /etc/sluice/)',
    },
    { flags: '--set NAME=VALUE', text: 'A single setting, such as log.level=debug; repeatable' },
    { flags: '--check-only', text: 'Check the configuration and end' },
    {
      flags: '--with-control-plane',
      text: 'Run a control plane in the same process, for trying things out (in .sluice/control-plane)',
    },
    { flags: '--control-plane-ports A,B', text: 'For its APIs and for gateways (default: 7443,7943)' },
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
        'with-control-plane': { type: 'boolean', default: false },
        'control-plane-ports': { type: 'string', default: '7443,7943' },
      },
    })
    const named = values.config.length > 0 ? values.config : fromEnvironment(io.env.SLUICE_CONFIG)
    const flags = await settingFlags(values.set)
    if (values['check-only']) return (await import('./serve.ts')).checkOnly(named, io, flags)

    if (values['with-control-plane']) {
      const { serveBoth } = await import('./serve-both.ts')
      return serveBoth(io, portsIn(values['control-plane-ports']), (own) => start(named, own, flags))
    }
    return start(named, io, flags)
  },
}

function portsIn(text: string): { port: number; syncPort: number } {
  const [, port, syncPort] = /^(\d{1,5}),(\d{1,5})$/.exec(text) ?? []
  if (port === undefined)
    throw new UsageError(`--control-plane-ports takes two ports, as 7443,7943, not '${text}'`)
  return { port: Number(port), syncPort: Number(syncPort) }
}

async function start(
  named: readonly string[],
  io: CliIo,
  flags: Awaited<ReturnType<typeof settingFlags>>,
): Promise<number> {
  // The threads load their modules while this one loads its own and reads the configuration.
  const threads = new SpareThreads(dataThread, earlyThreads)
  return (await import('./serve.ts')).serve(named, threads, io, flags)
}

/** Several names stand beside each other as in PATH. */
function fromEnvironment(value: string | undefined): string[] {
  return (value ?? '').split(delimiter).filter((name) => name !== '')
}

/** The name differs between a checkout and what is installed, and the build rewrites only imports. */
const dataThread = new URL(`../data-thread${extname(import.meta.url)}`, import.meta.url)
/** What a small configuration on a small machine needs; more would cost a short start more than it gains. */
const earlyThreads = Math.min(2, availableParallelism())
