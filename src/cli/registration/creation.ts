/** What `sluice register` and `sluice registration create` have in common. */
import { access, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ConnectionFailure } from '../../config-sync/connection.ts'
import { type Credentials, register } from '../../config-sync/platform.ts'
import { gatewayNamePattern } from '../../config-sync/protocol/messages.ts'
import { alreadyRegistered, RegistrationError, writeRegistration } from '../../config-sync/registration.ts'
import { certificateFile, registrationFile } from '../../config-sync/registration-search.ts'
import { version } from '../../version.ts'
import { type CliIo, CommandError, type Option, UsageError } from '../command.ts'
import { credentialOptions, credentialsOf, outputFolder, platformUrl, text, yesOrNo } from './flags.ts'

export const options: readonly Option[] = [
  ...credentialOptions,
  {
    flags: '--token T',
    text: 'A registration token of the control plane; it holds for one registration and 24 hours',
  },
  { flags: '--control-plane URL', text: 'Where the control plane is; also --anypoint-url' },
  {
    flags: '--connected true|false',
    text: 'Whether configuration comes from the control plane (default: true)',
  },
  { flags: '--group ID', text: 'The gateway group (default: that of the token)' },
  { flags: '--organization ID', text: 'The organization (default: that of the token)' },
  { flags: '--environment ID', text: 'The environment (default: that of the token)' },
  {
    flags: '--split true|false',
    text: 'Write certificate and key into a file of their own (default: false)',
  },
  { flags: '--output-directory D', text: 'Where the registration goes (default: the working directory)' },
  {
    flags: '--ca-file FILE',
    text: 'Authorities of the control plane, in PEM, where no token vouches for it',
  },
  { flags: '--https-proxy URL', text: 'A proxy that leads to the control plane' },
]

export const parsing = {
  username: text,
  password: text,
  'client-id': text,
  'client-secret': text,
  token: text,
  'control-plane': text,
  'anypoint-url': text,
  connected: text,
  group: text,
  organization: text,
  environment: text,
  split: text,
  'output-directory': text,
  'ca-file': text,
  'https-proxy': text,
} as const

type Values = { [Name in keyof typeof parsing]?: string | undefined }

export async function createRegistration(positionals: string[], values: Values, io: CliIo): Promise<void> {
  const [name, ...others] = positionals
  if (name === undefined || others.length > 0)
    throw new UsageError('Name the gateway: one name, in lower case')
  if (name === '' || !new RegExp(gatewayNamePattern).test(name)) {
    throw new UsageError(
      `'${name}' cannot be the name of a gateway: 3 to 42 lower-case letters, digits and hyphens, beginning with a letter and not ending with a hyphen`,
    )
  }
  const credentials = tokenOr(values)
  const url = platformUrl(
    values['control-plane'] ?? values['anypoint-url'],
    'Where is the control plane? Name it with --control-plane=URL',
  )
  const connected = yesOrNo('connected', values.connected, true)
  const split = yesOrNo('split', values.split, false)
  const folder = outputFolder(values['output-directory'], io)
  const caFile = values['ca-file']
  const ca = caFile === undefined ? undefined : await readAuthorities(resolve(io.cwd, caFile))
  try {
    // Before the token is used up.
    for (const file of [registrationFile, ...(split ? [certificateFile] : [])])
      await assertFree(join(folder, file))
    const registration = await register(
      {
        url,
        ...(ca !== undefined && { ca }),
        ...(values['https-proxy'] !== undefined && { proxy: values['https-proxy'] }),
      },
      credentials,
      {
        name,
        connected,
        version,
        ...(values.organization !== undefined && { organization: values.organization }),
        ...(values.environment !== undefined && { environment: values.environment }),
        ...(values.group !== undefined && { group: values.group }),
      },
    )
    const files = await writeRegistration(folder, registration, split)
    io.stderr.write(`${name} is registered; ${files.join(' and ')} must be kept secret.\n`)
  } catch (error) {
    throw describe(error)
  }
}

/** Errors of the command line, whose message says all there is to say. */
export function describe(error: unknown): unknown {
  const isKnown = error instanceof RegistrationError || error instanceof ConnectionFailure
  return isKnown ? new CommandError(error.message) : error
}

async function assertFree(path: string): Promise<void> {
  const exists = await access(path).then(
    () => true,
    () => false,
  )
  if (exists) throw new RegistrationError(alreadyRegistered(path))
}

function tokenOr(values: Values): Credentials {
  if (values.token === undefined) return credentialsOf(values, ', or --token')
  if (values.username ?? values.password ?? values['client-id'] ?? values['client-secret']) {
    throw new UsageError('Give a token or credentials, not both')
  }
  return { token: values.token }
}

async function readAuthorities(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new CommandError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}
