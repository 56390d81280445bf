/** Modules that an operator wrote: how their code is found, told apart from an older state of itself, and loaded. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { registerHooks } from 'node:module'
import { extname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** Marks the URLs of such modules. A module cannot be loaded twice under one URL. */
const mark = 'sluice'
/** A module may wait for something while it loads; not for ever. Milliseconds. */
export const loadTimeoutMs = 10_000

export const versionedUrl = (file: string, version: string): string =>
  `${pathToFileURL(file)}?${mark}=${version}`

/** All code below a folder, in the order of the names. */
export async function codeFilesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isFile() && /\.([cm]?[jt]s|json)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !relative(root, file).includes('node_modules'))
    .sort()
}

/** Paths of files, and all code below those that are folders, in the order of the names. */
export async function codeFilesAt(paths: readonly string[]): Promise<string[]> {
  const below = await Promise.all(paths.map(codeFilesBelow))
  return [...new Set([...paths, ...below.flat()])].sort()
}

/** A change of any of the files is another version. */
export async function digestOf(files: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const file of [...files].sort())
    hash.update(`${file}\0`).update(await readFile(file).catch(() => 'missing'))
  return hash.digest('hex').slice(0, 16)
}

/** Everything that the module exports. Rejects when it does not load, or not in time. */
export async function importModule(url: string): Promise<Readonly<Record<string, unknown>>> {
  installResolver()
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new Error(`it takes more than ${loadTimeoutMs / 1000} s`)),
    loadTimeoutMs,
  )
  try {
    return (await Promise.race([import(url), promise])) as Record<string, unknown>
  } finally {
    clearTimeout(timer)
  }
}

/** What is wrong with a module that did not load, in one line. */
export const reasonOf = (error: unknown): string => String(error).split('\n')[0]!

const kit: Readonly<Record<string, string>> = {
  'sluice-gateway/policy-kit': new URL(`./policies/kit/index${extname(import.meta.url)}`, import.meta.url)
    .href,
  'sluice-gateway/policy-kit/testing': new URL(
    `./policies/kit/testing${extname(import.meta.url)}`,
    import.meta.url,
  ).href,
}
const ours = new URL('./', import.meta.url).href
let installed = false
/** Files of the operator that modules asked for in this thread, whether or not they are there. */
const asked = new Set<string>()

/** @returns files of the operator that were asked for since the last call */
export function takeAskedFiles(): string[] {
  const files = [...asked]
  asked.clear()
  return files
}

/** Such modules find the kit of this gateway wherever they stand, and what they import of their own is of their version. */
function installResolver(): void {
  if (installed) return
  installed = true
  registerHooks({
    resolve(specifier, context, next) {
      const own = kit[specifier]
      if (own !== undefined) return { ...next(own, context), shortCircuit: true }
      const version = versionOf(specifier) ?? versionOf(context.parentURL)
      if (version !== undefined && /^\.{0,2}\/|^file:/.test(specifier))
        note(new URL(specifier, context.parentURL))
      const resolved = next(specifier, context)
      if (version === undefined || !isOfOperator(resolved.url)) return resolved
      const url = new URL(resolved.url)
      note(url)
      url.searchParams.set(mark, version)
      const format = resolved.format ?? (url.pathname.endsWith('ts') ? 'module-typescript' : 'module')
      return { ...resolved, url: url.href, format }
    },
  })
}

function note(url: URL): void {
  if (isOfOperator(url.href)) asked.add(fileURLToPath(url))
}

const isOfOperator = (url: string) =>
  url.startsWith('file:') && !url.startsWith(ours) && !url.includes('/node_modules/')

function versionOf(url: string | undefined): string | undefined {
  if (!url?.includes(`?${mark}=`)) return undefined
  return new URL(url).searchParams.get(mark) ?? undefined
}
