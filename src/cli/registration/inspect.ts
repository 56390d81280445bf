import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { certificateOf, readRegistration } from '../../config-sync/registration.ts'
import { findRegistration } from '../../config-sync/registration-search.ts'
import { type Command, exitCode } from '../command.ts'
import { describe } from './creation.ts'

export const command: Command = {
  name: 'registration inspect',
  summary: 'Print when the certificate of a registration expires',
  usage: 'sluice registration inspect [--file=FILE]',
  options: [
    {
      flags: '-f, --file FILE',
      text: 'The registration (default: SLUICE_REGISTRATION, then ./registration.yaml, /etc/sluice, and that of Flex Gateway)',
    },
  ],
  examples: ['sluice registration inspect', 'sluice registration inspect --file=conf.d/registration.yaml'],

  async run(argv, io) {
    const { values } = parseArgs({ args: argv, options: { file: { type: 'string', short: 'f' } } })
    const path =
      values.file === undefined ? await findRegistration([], io.env, io.cwd) : resolve(io.cwd, values.file)
    try {
      const { validToDate } = certificateOf(
        await readRegistration(path ?? resolve(io.cwd, 'registration.yaml')),
      )
      io.stdout.write(`{"expiration_date": "${goTime(validToDate)}"}\n`)
    } catch (error) {
      throw describe(error)
    }
    return exitCode.ok
  },
}

/** `2025-09-25 19:27:32 +0000 UTC` */
function goTime(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`
}
