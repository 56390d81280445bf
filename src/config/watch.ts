/**
 * Tells when the text of a configuration changed. Folders are watched rather than files, because editors replace a
 * file and Kubernetes swaps the link `..data` under it; and what the watcher of the system does not tell (network file
 * systems, links to elsewhere) is found by looking at sizes and times now and then. Either way, only another text counts.
 */
import { createHash } from 'node:crypto'
import { type FSWatcher, watch } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { sourceFiles } from './load.ts'

export interface WatchOptions {
  /** The files are read once they stayed the same for this long after an event, in ms. Default: 100. */
  debounce?: number
  /** Time between two looks at sizes and times, in ms; 0 for none. Default: 2000. */
  poll?: number
  /** Whether the system's watcher is used. Default: true. */
  events?: boolean
  /** What relative sources are relative to. Default: the working directory. */
  cwd?: string
}

export interface ConfigWatcher {
  /** Resolves when the first look was taken; a change after it is told. */
  ready: Promise<void>
  close(): void
}

/** Calls `changed` each time the text behind the sources became another one. Calls never overlap. */
export function watchConfig(
  sources: readonly string[],
  changed: () => void | Promise<void>,
  options: WatchOptions = {},
): ConfigWatcher {
  const { debounce = 100, poll = 2000, events = true, cwd = process.cwd() } = options
  const watchers: FSWatcher[] = []
  let timer: NodeJS.Timeout | undefined
  let poller: NodeJS.Timeout | undefined
  let closed = false
  let busy = false
  let text = ''
  /** Of the files when `text` was read. */
  let stamps = ''
  /** Of the last look. */
  let last = ''

  const schedule = () => {
    if (!closed) timer ??= setTimeout(look, debounce)
  }

  // Anything may be written beside the files, a log for instance, so that an event alone is no reason to read them.
  const look = async () => {
    timer = undefined
    if (busy) return schedule()
    busy = true
    try {
      const now = await stampsOf(sources, cwd)
      if (now === stamps || closed) return
      const settled = now === last
      last = now
      if (settled) await compare(now)
      else schedule()
    } finally {
      busy = false
    }
  }

  const compare = async (now: string) => {
    const read = await digest(sources, cwd)
    stamps = now
    if (closed || read === text) return
    text = read
    await changed()
  }

  const again = () => {
    schedule()
    if (!closed) poller = setTimeout(again, poll).unref()
  }

  const start = async () => {
    // Stamps first: a change in between is then seen by the next look.
    stamps = await stampsOf(sources, cwd)
    text = await digest(sources, cwd)
    if (closed) return
    if (events) for (const folder of await folders(sources, cwd)) watchFolder(folder, watchers, schedule)
    if (poll > 0) poller = setTimeout(again, poll).unref()
    schedule()
  }

  return {
    ready: start(),
    close() {
      closed = true
      clearTimeout(timer)
      clearTimeout(poller)
      for (const watcher of watchers) watcher.close()
    },
  }
}

function watchFolder(folder: string, watchers: FSWatcher[], schedule: () => void): void {
  try {
    const watcher = watch(folder, { persistent: false }, schedule)
    // A folder that goes away, or one too many for the system: looking now and then goes on.
    watcher.on('error', () => watcher.close())
    watchers.push(watcher)
  } catch {
    // As above.
  }
}

/** The folders to watch: each source that is one, and those that hold the others. */
async function folders(sources: readonly string[], cwd: string): Promise<Set<string>> {
  const found = new Set<string>()
  for (const source of sources) {
    const path = resolve(cwd, source)
    const isFolder = await stat(path).then(
      (entry) => entry.isDirectory(),
      () => false,
    )
    found.add(isFolder ? path : dirname(path))
  }
  return found
}

/** A hash over the names and texts of all files; what is missing counts as missing. */
async function digest(sources: readonly string[], cwd: string): Promise<string> {
  const hash = createHash('sha256')
  for (const file of await allFiles(sources, cwd)) {
    const text = await readFile(resolve(cwd, file)).catch(() => undefined)
    hash.update(`${file}\0${text === undefined ? 'missing' : text.length}\0`)
    if (text !== undefined) hash.update(text)
  }
  return hash.digest('hex')
}

async function stampsOf(sources: readonly string[], cwd: string): Promise<string> {
  const stamps: string[] = []
  for (const file of await allFiles(sources, cwd)) {
    const entry = await stat(resolve(cwd, file), { bigint: true }).catch(() => undefined)
    stamps.push(`${file} ${entry?.ino} ${entry?.size} ${entry?.mtimeNs} ${entry?.ctimeNs}`)
  }
  return stamps.join('\n')
}

async function allFiles(sources: readonly string[], cwd: string): Promise<string[]> {
  const lists = await Promise.all(sources.map((source) => sourceFiles(source, cwd).catch(() => [source])))
  return lists.flat()
}
