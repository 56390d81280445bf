import { parseArgs } from 'node:util'
import { type Command, exitCode } from './command.ts'
import { createRegistration, options, parsing } from './registration/creation.ts'

export const command: Command = {
  name: 'register',
  summary: 'Register this gateway with a control plane',
  usage: 'sluice register NAME --token=T --control-plane=URL [--connected=true|false] [--output-directory=D]',
  options,
  examples: [
    'sluice register shop-edge --token=TOKEN --control-plane=https://control.example:7443 --connected=true',
  ],

  async run(argv, io) {
    const { values, positionals } = parseArgs({ args: argv, allowPositionals: true, options: parsing })
    await createRegistration(positionals, values, io)
    return exitCode.ok
  },
}
