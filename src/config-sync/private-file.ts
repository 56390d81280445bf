/** Files that hold keys: readable by their owner alone, complete or not there. */
import { randomBytes } from 'node:crypto'
import { link, mkdir, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

const ownerOnly = 0o600
const ownerOnlyFolder = 0o700

/** @throws with code EEXIST when there is something of that name already, which stays as it is */
export async function createPrivateFile(path: string, text: string): Promise<void> {
  await written(path, text, (temporary) => link(temporary, path))
}

/** Takes the place of what was there. After a loss of power there is the old one or the new one. */
export async function replacePrivateFile(path: string, text: string | Uint8Array): Promise<void> {
  await written(path, text, (temporary) => rename(temporary, path))
}

/** One that is complete takes the place of another in the same folder. */
export async function renamePrivateFile(from: string, to: string): Promise<void> {
  await rename(from, to)
  await syncFolder(dirname(to))
}

/** Folders that are missing are made. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: ownerOnlyFolder })
}

async function written(
  path: string,
  content: string | Uint8Array,
  place: (temporary: string) => Promise<void>,
): Promise<void> {
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}`)
  try {
    const file = await open(temporary, 'wx', ownerOnly)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await place(temporary)
    await syncFolder(folder)
  } finally {
    await rm(temporary, { force: true })
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
