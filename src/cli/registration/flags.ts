/** Flags of the commands about registrations. */
import { resolve } from 'node:path'
import type { Credentials } from '../../config-sync/platform.ts'
import { type CliIo, type Option, UsageError } from '../command.ts'

export const text = { type: 'string' } as const

export const credentialOptions: readonly Option[] = [
  { flags: '--username U --password P', text: 'Who asks: a user of the control plane' },
  { flags: '--client-id I --client-secret S', text: 'Who asks: a connected app of the control plane' },
]

interface CredentialFlags {
  username?: string | undefined
  password?: string | undefined
  'client-id'?: string | undefined
  'client-secret'?: string | undefined
}

/** @param also what else the command takes in their place */
export function credentialsOf(flags: CredentialFlags, also = ''): Credentials {
  const { username, password, 'client-id': clientId, 'client-secret': clientSecret } = flags
  const asUser = username !== undefined || password !== undefined
  const asApp = clientId !== undefined || clientSecret !== undefined
  if (asUser && asApp) throw new UsageError('Give a user or a connected app, not both')
  if (username !== undefined && password !== undefined) return { username, password }
  if (clientId !== undefined && clientSecret !== undefined) return { clientId, clientSecret }
  throw new UsageError(`Who asks? Give --username and --password, or --client-id and --client-secret${also}`)
}

export function yesOrNo(name: string, value: string | undefined, byDefault: boolean): boolean {
  if (value === undefined) return byDefault
  if (value === 'true' || value === 'false') return value === 'true'
  throw new UsageError(`--${name} is true or false, not '${value}'`)
}

export function outputFolder(value: string | undefined, io: CliIo): string {
  return resolve(io.cwd, value ?? '.')
}

export function platformUrl(value: string | undefined, missing: string): string {
  if (value === undefined) throw new UsageError(missing)
  if (URL.parse(value)?.protocol !== 'https:') throw new UsageError(`'${value}' is not an https:// URL`)
  return value
}
