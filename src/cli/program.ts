import { nearest } from '../config/nearest.ts'
import type { CliIo, Command, CommandGroup, CommandIndex } from './command.ts'
import { CommandError, exitCode, UsageError } from './command.ts'
import { commands } from './commands.ts'
import { commandHelp, groupHelp } from './help.ts'

/** The root of the command tree. */
export const program: CommandGroup = {
  name: '',
  summary: 'An API gateway: routes, policies and load balancing from plain files',
  usage: 'sluice COMMAND [OPTIONS]',
  examples: ['sluice start -c examples/quickstart', 'sluice validate -c examples/quickstart'],
  commands,
}

/** Runs one command line and resolves with its exit code. Never throws. */
export async function runProgram(argv: readonly string[], io: CliIo, root = program): Promise<number> {
  let found: Found = { command: root, rest: [] }
  try {
    found = await find(root, rewriteAliases(argv))
    if (asksForHelp(found.rest)) {
      io.stdout.write(isGroup(found.command) ? await groupHelp(found.command) : commandHelp(found.command))
      return exitCode.ok
    }
    if (isGroup(found.command)) throw missingOrUnknown(found.command, found.rest[0])
    return await found.command.run(found.rest, io)
  } catch (error) {
    return report(error, found.command, io)
  }
}

interface Found {
  command: Command | CommandGroup
  /** What is left of the command line after the command's name. */
  rest: string[]
}

/** Follows the names at the front of the command line into the tree, as far as they lead. */
async function find(group: CommandGroup, argv: readonly string[]): Promise<Found> {
  const name = argv[0]
  const load = name !== undefined && Object.hasOwn(group.commands, name) ? group.commands[name] : undefined
  if (load === undefined) return { command: group, rest: [...argv] }

  const { command } = await load()
  return isGroup(command) ? find(command, argv.slice(1)) : { command, rest: argv.slice(1) }
}

/** `sluice help start` and `sluice --version`, which people type out of habit. */
function rewriteAliases(argv: readonly string[]): readonly string[] {
  const [first, ...rest] = argv
  if (first === 'help') return [...rest, '--help']
  if (first === '--version' || first === '-v') return ['version', ...rest]
  return argv
}

function isGroup(command: Command | CommandGroup): command is CommandGroup {
  return 'commands' in command
}

function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  const options = end === -1 ? argv : argv.slice(0, end)
  return options.includes('--help') || options.includes('-h')
}

function missingOrUnknown(group: CommandGroup, name: string | undefined): UsageError {
  if (name === undefined) return new UsageError(`Which command? One of: ${names(group.commands)}`)
  if (name.startsWith('-')) return new UsageError(`Unknown option '${name}'`)

  const guess = nearest(name, Object.keys(group.commands))
  const hint = guess === undefined ? `Commands: ${names(group.commands)}` : `Did you mean '${guess}'?`
  return new UsageError(`Unknown command '${name}'. ${hint}`)
}

function names(index: CommandIndex): string {
  return Object.keys(index).join(', ')
}

function report(error: unknown, command: Command | CommandGroup, io: CliIo): number {
  if (isUsageError(error)) {
    const help = ['sluice', command.name, '--help'].filter(Boolean).join(' ')
    io.stderr.write(`${error.message}\nSee '${help}'.\n`)
    return exitCode.usage
  }
  io.stderr.write(`${describe(error)}\n`)
  return exitCode.failure
}

/** What the system refused (a port in use, a file not there) speaks for itself; anything else needs its stack. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'syscall' in error || error instanceof CommandError ? error.message : (error.stack ?? error.message)
}

function isUsageError(error: unknown): error is Error {
  if (error instanceof UsageError) return true
  return error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_')
}
