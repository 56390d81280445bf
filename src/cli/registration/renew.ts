import { access } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { renewWithCredentials } from '../../config-sync/platform.ts'
import {
  alreadyRegistered,
  RegistrationError,
  readRegistration,
  writeRegistration,
} from '../../config-sync/registration.ts'
import { registrationFile } from '../../config-sync/registration-search.ts'
import { type Command, exitCode, UsageError } from '../command.ts'
import { describe } from './creation.ts'
import { credentialOptions, credentialsOf, outputFolder, platformUrl, text, yesOrNo } from './flags.ts'

export const command: Command = {
  name: 'registration renew',
  summary: 'Renew the certificate of a registration, also one that has expired',
  usage:
    'sluice registration renew FILE (--username U --password P | --client-id I --client-secret S) [--output-directory=D]',
  options: [
    ...credentialOptions,
    {
      flags: '--update-urls true|false',
      text: 'Take the URLs of the control plane as they are now (default: false)',
    },
    {
      flags: '--output-directory D',
      text: 'Where the new registration goes; it must not hold one (default: the working directory)',
    },
    {
      flags: '--split true|false',
      text: 'Write certificate and key into a file of their own (default: false)',
    },
    { flags: '--anypoint-url URL', text: 'Where the control plane is (default: what the registration says)' },
    { flags: '--https-proxy URL', text: 'A proxy that leads to the control plane' },
  ],
  examples: [
    'sluice registration renew --username=USER --password=PASSWORD --update-urls=true --output-directory=new conf.d/registration.yaml',
    'sluice registration renew --client-id=ID --client-secret=SECRET --output-directory=new conf.d/registration.yaml',
  ],

  async run(argv, io) {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        username: text,
        password: text,
        'client-id': text,
        'client-secret': text,
        'update-urls': text,
        'output-directory': text,
        split: text,
        'anypoint-url': text,
        'https-proxy': text,
      },
    })
    const [path, ...others] = positionals
    if (path === undefined || others.length > 0)
      throw new UsageError('Name the registration that is to be renewed')
    const credentials = credentialsOf(values)
    const updateUrls = yesOrNo('update-urls', values['update-urls'], false)
    const split = yesOrNo('split', values.split, false)
    const folder = outputFolder(values['output-directory'], io)
    const url = values['anypoint-url']
    if (url !== undefined) platformUrl(url, '')
    try {
      const registration = await readRegistration(resolve(io.cwd, path))
      const target = join(folder, registrationFile)
      if (await exists(target)) throw new RegistrationError(alreadyRegistered(target))
      const renewed = await renewWithCredentials(registration, credentials, {
        updateUrls,
        ...(url !== undefined && { url }),
        ...(values['https-proxy'] !== undefined && { proxy: values['https-proxy'] }),
      })
      await writeRegistration(folder, renewed, split)
    } catch (error) {
      throw describe(error)
    }
    io.stdout.write('Registration renewal completed\n')
    return exitCode.ok
  },
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
