import { join, resolve } from 'node:path'
import { UsageError } from '../command.ts'

/** What `policy new` and `policy test` have in common: a name, and the folder that holds policies. */
export const directoryOption = { flags: '--directory D', text: 'Folder of policies (default: src/policies)' }

/** The folder of one policy. @throws UsageError when the name cannot be one. */
export function policyFolder(name: string | undefined, directory: string | undefined, cwd: string): string {
  if (name === undefined) throw new UsageError('Which policy? Give its name')
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    throw new UsageError(`'${name}' is no name for a policy: lower-case words with hyphens between them are`)
  }
  return join(resolve(cwd, directory ?? join('src', 'policies')), name)
}
