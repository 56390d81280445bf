/** Files below a folder, as Docker and Kubernetes mount secrets. */
import { open } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { FileConfig } from '../../config/secret-managers.ts'
import { longestNameFirst, SecretFailure, type SecretManager, type Surroundings } from '../secret.ts'

const largestFile = 1024 * 1024

export function file(config: FileConfig, { cwd }: Surroundings): SecretManager {
  const folder = resolve(cwd, config.path)
  return {
    candidates: longestNameFirst,
    async read(name) {
      const text = await textOfFile(join(folder, name))
      // Editors and `echo` leave a line feed that is not meant.
      return text === undefined ? undefined : { text: text.replace(/\r?\n$/, '') }
    },
  }
}

const absences = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG'])

async function textOfFile(path: string): Promise<string | undefined> {
  try {
    await using handle = await open(path)
    const stats = await handle.stat()
    if (stats.isDirectory()) return undefined
    if (stats.size > largestFile) throw new SecretFailure('absent', 'its file is larger than 1 MiB')
    return await handle.readFile('utf8')
  } catch (error) {
    if (error instanceof SecretFailure) throw error
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    if (absences.has(code)) return undefined
    throw new SecretFailure('unavailable', `its file cannot be read (${code})`)
  }
}
