/** One command of the command line: what it is called, what help says about it, what it does. */
export interface Command {
  /** As it is typed after `sluice`: `start`, `policy new`. */
  name: string
  /** One line, a sentence without its full stop. */
  summary: string
  /** The synopsis: `sluice start [-c FILE_OR_FOLDER]...`. */
  usage: string
  options?: readonly Option[]
  /** Complete command lines; help shows every one. */
  examples: readonly string[]
  /**
   * Runs to the end and resolves with the exit code. `argv` is what followed the command's name.
   * A `UsageError`, and what `util.parseArgs` throws, ends with exit code 2 and a pointer to help.
   */
  run(argv: string[], io: CliIo): Promise<number>
}

/** A command that only holds others: `sluice policy`. */
export interface CommandGroup extends Omit<Command, 'run'> {
  commands: CommandIndex
}

/** Modules are loaded when their command is named, so that no command pays for another. */
export type CommandIndex = Readonly<Record<string, () => Promise<{ command: Command | CommandGroup }>>>

/** An option as help shows it. */
export interface Option {
  /** `-c, --config FILE_OR_FOLDER` */
  flags: string
  /** One line; names the default. */
  text: string
}

/** The outside world of a command; tests hand in their own. */
export interface CliIo {
  /** What the command was asked for. */
  stdout: TextSink
  /** Everything else: errors, hints, progress. */
  stderr: TextSink
  env: Readonly<Record<string, string | undefined>>
  cwd: string
  /** Standard output is a terminal, so that a person reads it. */
  isTTY: boolean
}

export interface TextSink {
  write(text: string): unknown
}

export const exitCode = { ok: 0, failure: 1, usage: 2, invalid: 3, different: 4 } as const

/** The command line itself is wrong. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** The command could not do what it was asked to; the message says all there is to say. Exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}
