import { parseArgs } from 'node:util'
import { type Command, exitCode } from '../command.ts'
import { createRegistration, options, parsing } from './creation.ts'

export const command: Command = {
  name: 'registration create',
  summary: 'Register this gateway, by token or by credentials',
  usage:
    'sluice registration create NAME (--token T | --username U --password P | --client-id I --client-secret S)',
  options,
  examples: [
    'sluice registration create shop-edge --token=TOKEN --control-plane=https://control.example:7443',
    'sluice registration create shop-edge --client-id=ID --client-secret=SECRET --control-plane=https://control.example:7443 --split=true',
  ],

  async run(argv, io) {
    const { values, positionals } = parseArgs({ args: argv, allowPositionals: true, options: parsing })
    await createRegistration(positionals, values, io)
    return exitCode.ok
  },
}
