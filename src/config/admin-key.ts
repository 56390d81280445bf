/** The key of the Admin API as the environment gives it. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Environment } from './environment.ts'
import type { Finding } from './problem.ts'

/** `SLUICE_ADMIN_KEY`, or the first line of the file that `SLUICE_ADMIN_KEY_FILE` names. Neither: no key. */
export async function readAdminKey(
  env: Environment,
  cwd: string,
): Promise<{ key?: string; finding?: Finding }> {
  const { SLUICE_ADMIN_KEY: key, SLUICE_ADMIN_KEY_FILE: file } = env
  if (key !== undefined) return { key }
  if (file === undefined || file === '') return {}
  try {
    const text = await readFile(resolve(cwd, file), 'utf8')
    return { key: text.split('\n', 1)[0]!.trim() }
  } catch (error) {
    return {
      finding: {
        code: 'file-unreadable',
        severity: 'error',
        file,
        path: '',
        message: `it cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`,
        hint: 'SLUICE_ADMIN_KEY_FILE names it.',
      },
    }
  }
}
