import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type CliIo, type Command, exitCode, UsageError } from '../command.ts'
import { directoryOption, policyFolder } from './folder.ts'

export const command: Command = {
  name: 'policy test',
  summary: 'Run the tests of one policy',
  usage: 'sluice policy test NAME [--directory D]',
  options: [directoryOption],
  examples: ['sluice policy test key-auth'],

  async run(argv, io) {
    const { values, positionals } = parseArgs({
      args: argv,
      options: { directory: { type: 'string' } },
      allowPositionals: true,
    })
    if (positionals.length > 1) throw new UsageError(`One name at a time, not ${positionals.join(' ')}`)
    const folder = policyFolder(positionals[0], values.directory, io.cwd)
    const files = globSync(join(folder, '**', '*.test.ts'))
    if (files.length === 0) {
      io.stderr.write(`There are no tests in ${folder}\n`)
      return exitCode.failure
    }
    return (await runTests(files, io)) === 0 ? exitCode.ok : exitCode.failure
  },
}

/** @returns the exit code of the test runner; null when a signal ended it. */
async function runTests(files: readonly string[], io: CliIo): Promise<number | null> {
  // A test runner that finds this variable reports to its parent in a protocol of its own.
  const { NODE_TEST_CONTEXT: _, ...env } = io.env
  const child = spawn(process.execPath, ['--test', '--test-reporter=spec', ...files], {
    cwd: io.cwd,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.setEncoding('utf8').on('data', (text: string) => io.stdout.write(text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => io.stderr.write(text))
  const [code] = (await once(child, 'close')) as [number | null]
  return code
}
