/**
 * Modules whose functions a configuration names. The control thread has them looked at in a thread of their own and
 * never loads them itself; data threads do.
 */
import { randomUUID } from 'node:crypto'
import { dirname, relative, resolve } from 'node:path'
import type { Loaded } from './config/load.ts'
import {
  type KnownFunctions,
  type KnownModule,
  modulePath,
  nameInFolder,
  readEntry,
} from './config/own-functions.ts'
import { type Probed, type ProbedModule, probeModules } from './module-probe.ts'
import { codeFilesBelow, digestOf, versionedUrl } from './own-modules.ts'

/** Policies that run functions of the operator's, in their field `functions`. */
const withFunctions = ['exit-transformer', 'serverless-pre-function', 'serverless-post-function'] as const

/** What is known of modules from the last time, by absolute path. */
const probedBefore = new Map<string, ProbedModule & { version: string }>()

/** What a configuration's functions stand in, and everything that has to be watched for them. */
export interface FunctionSources {
  known: KnownFunctions
  /** Absolute paths of files. */
  files: readonly string[]
}

/**
 * Looks at every module that a function may come from. What is wrong with them becomes findings of `loaded`, which also
 * gets the modules.
 */
export async function readFunctionModules(loaded: Loaded, cwd: string): Promise<FunctionSources> {
  const folder = folderOf(loaded, cwd)
  const inFolder = folder === undefined ? [] : await modulesIn(folder)
  const named = namedModules(loaded, cwd)
  const files = new Set<string>()
  const modules = new Map<string, KnownModule>()
  const versions = new Map<string, string>()
  const broken = new Set<string>()
  for (const [file, result] of await probe([...new Set([...named.keys(), ...inFolder])])) {
    for (const part of [file, ...result.files]) files.add(part)
    if (!('problem' in result)) {
      modules.set(file, result)
      versions.set(file, result.version)
      continue
    }
    broken.add(file)
    loaded.findings.push({
      code: 'invalid-function',
      severity: 'error',
      file: relative(cwd, file),
      path: '',
      message: `the module does not load: ${result.problem}`,
      hint: 'It is an ES module in JavaScript, or in TypeScript whose types can be left out; its types are those of sluice-gateway/policy-kit.',
    })
  }
  const names = [...modules.keys()].flatMap((file) => [
    ...(named.has(file) ? [{ file, name: file }] : []),
    ...(folder !== undefined && inFolder.includes(file) ? [{ file, name: nameInFolder(folder, file) }] : []),
  ])
  loaded.functions = names.map(({ file, name }) => ({ name, url: versionedUrl(file, versions.get(file)!) }))
  const known = { cwd, modules, broken, ...(folder !== undefined && { folder }) }
  return { known, files: [...files] }
}

function folderOf({ documents, settings = [] }: Loaded, cwd: string): string | undefined {
  const given = settings.findLast(({ path }) => path.join('.') === 'functions.folder')
  if (given !== undefined) return folderFrom(given.value, cwd)
  for (const { file, value } of documents.filter(({ mayNameCode }) => mayNameCode === true)) {
    const { gateway } = (value ?? {}) as { gateway?: { functions?: { folder?: unknown } } }
    const folder = folderFrom(gateway?.functions?.folder, dirname(resolve(cwd, file)))
    if (folder !== undefined) return folder
  }
  return undefined
}

/** Anything but a text is a finding of the check. */
const folderFrom = (value: unknown, base: string): string | undefined =>
  typeof value === 'string' && value !== '' ? resolve(base, value) : undefined

/** Of the folder that the Admin API may name: everything in it but tests. */
async function modulesIn(folder: string): Promise<string[]> {
  const files = await codeFilesBelow(folder)
  return files.filter((file) => !/(\.json|\.d\.ts|\.test\.[cm]?[jt]s)$/.test(file))
}

/** Modules that entries of files name, by absolute path. What comes from elsewhere has nothing loaded by naming it. What is no path is a finding of the check. */
function namedModules({ documents }: Loaded, cwd: string): Set<string> {
  const found = new Set<string>()
  for (const { file, value } of documents.filter(({ mayNameCode }) => mayNameCode === true)) {
    for (const section of Object.values((value ?? {}) as Record<string, unknown>)) {
      if (!Array.isArray(section)) continue
      for (const resource of section) {
        const { plugins } = (resource ?? {}) as { plugins?: Record<string, unknown> }
        if (typeof plugins !== 'object' || plugins === null) continue
        for (const entry of withFunctions.flatMap((name) => entriesOf(plugins[name]))) {
          const read = readEntry(entry)
          if (read !== undefined) found.add(modulePath(file, read.path, cwd))
        }
      }
    }
  }
  return found
}

function entriesOf(config: unknown): string[] {
  const { functions, _meta } = (config ?? {}) as { functions?: unknown; _meta?: { disable?: unknown } }
  if (_meta?.disable === true || !Array.isArray(functions)) return []
  return functions.filter((entry) => typeof entry === 'string')
}

type Result = (ProbedModule & { version: string }) | Extract<Probed, { problem: string }>

/** What did not change since the last time is not looked at again. */
async function probe(files: readonly string[]): Promise<Map<string, Result>> {
  const results = new Map<string, Result>()
  const urls = new Map<string, string>()
  for (const file of files) {
    const before = probedBefore.get(file)
    if (before !== undefined && (await digestOf(before.files)) === before.version) results.set(file, before)
    else urls.set(versionedUrl(file, randomUUID()), file)
  }
  const probed = urls.size === 0 ? new Map<string, Probed>() : await probeModules([...urls.keys()])
  for (const [url, result] of probed) {
    const file = urls.get(url)!
    if ('problem' in result) results.set(file, { ...result, files: [...result.files, file] })
    else {
      const sound = { ...result, version: await digestOf(result.files) }
      probedBefore.set(file, sound)
      results.set(file, sound)
    }
  }
  return results
}
