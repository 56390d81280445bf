import { execFileSync } from 'node:child_process'
import { cpus, release, totalmem } from 'node:os'

/** The facts without which a figure means nothing. Versions are as each program states them; absent: not installed. */
export interface Machine {
  cpu: string
  cores: number
  memory: string
  kernel: string
  versions: Record<string, string>
  commit: string
}

export function machine(): Machine {
  const versions: Record<string, string> = { node: process.versions.node }
  for (const [name, flag, pattern] of [
    ['nginx', '-v', /nginx\/(\S+)/],
    ['haproxy', '-v', /version (\S+)/],
    ['wrk', '-v', /wrk (\S+)/],
  ] as const) {
    const version = pattern.exec(says(name, flag))?.[1]
    if (version !== undefined) versions[name] = version
  }
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memory: `${(totalmem() / 1024 ** 3).toFixed(0)} GiB`,
    kernel: release(),
    versions,
    commit: commit(),
  }
}

/** Short hash of what is checked out, with `-dirty` when files differ from it; `uncommitted` outside of any commit. */
function commit(): string {
  const hash = says('git', 'rev-parse', '--short', '--verify', '--quiet', 'HEAD').trim()
  if (hash === '') return 'uncommitted'
  return says('git', 'status', '--porcelain', '--untracked-files=no').trim() === '' ? hash : `${hash}-dirty`
}

/** What a program prints, on either stream and with any exit code; empty when it is not there. */
function says(program: string, ...args: string[]): string {
  const shell = 'exec 2>&1; "$0" "$@" || true'
  return execFileSync('sh', ['-c', shell, program, ...args], { encoding: 'utf8', cwd: import.meta.dirname })
}
