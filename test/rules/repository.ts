/** The files of the repository as a commit would hold them. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root: string = fileURLToPath(new URL('../../', import.meta.url))

/** Paths relative to the root: what is tracked, and what is new and not ignored. */
export const files: readonly string[] = git('ls-files', '--cached', '--others', '--exclude-standard').filter(
  (file) => existsSync(root + file),
)

/** Files that hold text. */
export const textFiles: readonly string[] = files.filter((file) => !/\.(png|ico|gz|woff2)$/.test(file))

export function read(file: string): string {
  return readFileSync(root + file, 'utf8')
}

/** Every line of the files that matches, as `file:line: text`, so that a failed test shows where to look. */
export function grep(pattern: RegExp, where: readonly string[]): string[] {
  return where.flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, index) =>
        pattern.test(line) ? [`${file}:${index + 1}: ${line.trim().slice(0, 120)}`] : [],
      ),
  )
}

function git(...args: string[]): string[] {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\n').filter(Boolean)
}
