/** Files that only their owner may read; they are complete, or not there. */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

export class PrivateFolder {
  readonly path: string

  /** It is made when it is missing. @throws when others may read what is in it */
  constructor(path: string) {
    this.path = path
    mkdirSync(path, { recursive: true, mode: 0o700 })
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o700)
  }

  has(name: string): boolean {
    return existsSync(join(this.path, name))
  }

  /** Undefined: it is not there. */
  read(name: string): string | undefined {
    return this.has(name) ? readFileSync(join(this.path, name), 'utf8') : undefined
  }

  /** Takes the place of what was there; after a loss of power there is the old one or the new one. */
  write(name: string, text: string): void {
    const temporary = join(this.path, `.${name}.${randomBytes(6).toString('hex')}`)
    try {
      const file = openSync(temporary, 'wx', 0o600)
      try {
        writeFileSync(file, text)
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      renameSync(temporary, join(this.path, name))
    } finally {
      rmSync(temporary, { force: true })
    }
    const folder = openSync(this.path, 'r')
    try {
      fsyncSync(folder)
    } finally {
      closeSync(folder)
    }
  }

  /** An empty file, for those who write to it themselves. @returns its path */
  touch(name: string): string {
    const path = join(this.path, name)
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
    return path
  }
}
