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

/** Times of files may be older by that much than the clock, ms. */
const coarseness = 20

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
  /**
   * Watches the code that a configuration names too, in place of what was followed before.
   * @param list gives the absolute paths of its files at that moment
   * @param since when the reading that named it began, epoch ms; what changed after it is told
   */
  follow(list: () => Promise<readonly string[]>, since: number): Promise<void>
  close(): void
}

/**
 * Calls `changed` each time the text behind the sources became another one. Calls never overlap. Where one gives `false`,
 * the text was not taken, for which the reason may lie outside of it: it is told again when it is saved again.
 */
export function watchConfig(
  sources: readonly string[],
  changed: () => unknown,
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
  let listCode: () => Promise<readonly string[]> = async () => []
  let followed = ''
  const watched = new Set<string>()
  const allFiles = async () => [...(await configFiles(sources, cwd)), ...(await listCode())]
  const watchFolders = (paths: Iterable<string>) => {
    for (const folder of events && !closed ? paths : []) {
      if (watched.has(folder)) continue
      watched.add(folder)
      watchFolder(folder, watchers, schedule)
    }
  }

  const schedule = () => {
    if (!closed) timer ??= setTimeout(look, debounce)
  }

  // Anything may be written beside the files, a log for instance, so that an event alone is no reason to read them.
  const look = async () => {
    timer = undefined
    if (busy) return schedule()
    busy = true
    try {
      const now = await stampsOf(await allFiles(), cwd)
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
    const read = await digest(await allFiles(), cwd)
    stamps = now
    if (closed || read === text) return
    text = read
    if ((await changed()) === false) text = ''
  }

  const again = () => {
    schedule()
    if (!closed) poller = setTimeout(again, poll).unref()
  }

  const start = async () => {
    // Stamps first: a change in between is then seen by the next look.
    const files = await allFiles()
    stamps = await stampsOf(files, cwd)
    text = await digest(files, cwd)
    if (closed) return
    watchFolders(await folders(sources, cwd))
    watchFolders((await configFiles(sources, cwd)).map((file) => dirname(resolve(cwd, file))))
    if (poll > 0) poller = setTimeout(again, poll).unref()
    schedule()
  }

  return {
    ready: start(),
    async follow(list, since) {
      listCode = list
      const code = (await list()).join('\n')
      if (code === followed || closed) return
      followed = code
      const files = await allFiles()
      // Stamps first, as above.
      stamps = await stampsOf(files, cwd)
      text = await digest(files, cwd)
      watchFolders(code === '' ? [] : code.split('\n').map((file) => dirname(file)))
      if (!(await haveChanged(files, cwd, since - coarseness))) return
      stamps = ''
      text = ''
      schedule()
    },
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
async function digest(files: readonly string[], cwd: string): Promise<string> {
  const hash = createHash('sha256')
  for (const file of files) {
    const text = await readFile(resolve(cwd, file)).catch(() => undefined)
    hash.update(`${file}\0${text === undefined ? 'missing' : text.length}\0`)
    if (text !== undefined) hash.update(text)
  }
  return hash.digest('hex')
}

async function stampsOf(files: readonly string[], cwd: string): Promise<string> {
  const stamps: string[] = []
  for (const file of files) {
    const entry = await stat(resolve(cwd, file), { bigint: true }).catch(() => undefined)
    stamps.push(`${file} ${entry?.ino} ${entry?.size} ${entry?.mtimeNs} ${entry?.ctimeNs}`)
  }
  return stamps.join('\n')
}

async function haveChanged(files: readonly string[], cwd: string, since: number): Promise<boolean> {
  const entries = await Promise.all(files.map((file) => stat(resolve(cwd, file)).catch(() => undefined)))
  return entries.some((entry) => entry !== undefined && entry.ctimeMs >= since)
}

async function configFiles(sources: readonly string[], cwd: string): Promise<string[]> {
  const lists = await Promise.all(sources.map((source) => sourceFiles(source, cwd).catch(() => [source])))
  return lists.flat()
}
