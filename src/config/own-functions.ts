/**
 * Functions of the operator's own that a configuration names: `functions/tenant.ts#require`. What there is to be named is
 * known before the check. Files may name code anywhere; what comes through the Admin API may name what stands in
 * the folder that `gateway.functions.folder` permits, and nothing else, so that its key alone lets nobody run code.
 */
import { dirname, isAbsolute, posix, relative, resolve, sep } from 'node:path'
import type { SourceDocument } from './load.ts'
import { portedLua } from './ported-lua.ts'

/** In the schema of texts that name a function: true, or what kind of function it is. */
export const functionAnnotation = 'x-function'

/** A module with functions, as the configuration that is checked may name it. */
export interface KnownModule {
  /** Names of the exports that are functions. */
  readonly functions: readonly string[]
}

export interface KnownFunctions {
  /** What relative names of files are relative to. */
  readonly cwd: string
  /** By absolute path. */
  readonly modules: ReadonlyMap<string, KnownModule>
  /** Absolute path of `gateway.functions.folder`; absent: the Admin API may name no code. */
  readonly folder?: string
  /** Absolute paths of modules that have a finding of their own already. */
  readonly broken: ReadonlySet<string>
}

const none: KnownFunctions = { cwd: '/', modules: new Map(), broken: new Set() }
let known = none

/** Of the configuration that is checked from now on, in this thread. */
export function setKnownFunctions(functions: KnownFunctions): void {
  known = functions
}

export function knownFunctions(): KnownFunctions {
  return known
}

/** An entry of a configuration, taken apart. */
export interface FunctionEntry {
  /** As it is written. */
  readonly path: string
  readonly exported: string
}

export type EntryResult =
  | { key: string }
  | { code: 'unknown-function' | 'unsupported-value'; message: string; hint: string }

/** The path and the export that an entry means; undefined: it is no path, but code. */
export function readEntry(entry: string): FunctionEntry | undefined {
  const [, path, exported = 'default'] = /^([^\n#]+\.[cm]?[jt]s)(?:#([\w$]+))?$/.exec(entry) ?? []
  return path === undefined || /[(){};=]/.test(path) ? undefined : { path, exported }
}

/** What stands for a function in a plan: the path of its module, and its export unless that is the default one. */
export const keyOf = (module: string, exported: string): string =>
  exported === 'default' ? module : `${module}#${exported}`

/** Where a module of a file's entry stands. */
export const modulePath = (file: string, path: string, cwd: string): string =>
  resolve(dirname(resolve(cwd, file)), path)

/** Names of modules in the permitted folder: relative to it. */
export const nameInFolder = (folder: string, path: string): string =>
  relative(folder, path).split(sep).join(posix.sep)

/** @param phase that the function runs in, for what stands in place of Lua */
export function resolveEntry(document: SourceDocument, entry: string, phase?: string): EntryResult {
  const read = readEntry(entry)
  if (read === undefined) {
    return {
      code: 'unsupported-value',
      message:
        'this is no path of a module: functions are TypeScript or JavaScript from files here, Lua does not run',
      hint: portedLua(entry, phase),
    }
  }
  return document.mayNameCode === true ? inFiles(document.file, read) : inFolder(read)
}

function inFiles(file: string, { path, exported }: FunctionEntry): EntryResult {
  const module = modulePath(file, path, known.cwd)
  if (known.broken.has(module)) return { key: keyOf(module, exported) }
  return exportOf(module, path, exported, known.modules.get(module))
}

function inFolder({ path, exported }: FunctionEntry): EntryResult {
  const { folder } = known
  if (folder === undefined) {
    return {
      code: 'unknown-function',
      message: 'code may be named in configuration files only: gateway.functions.folder is not set',
      hint: 'Whoever operates the gateway can permit one folder: gateway: { functions: { folder: ./functions } }.',
    }
  }
  const module = posix.normalize(path)
  const found = isAbsolute(module) ? undefined : known.modules.get(resolve(folder, module))
  const isInside = nameInFolder(folder, resolve(folder, module)) === module && !module.startsWith('..')
  return exportOf(module, path, exported, isInside ? found : undefined)
}

function exportOf(
  module: string,
  path: string,
  exported: string,
  found: KnownModule | undefined,
): EntryResult {
  if (found === undefined) {
    return {
      code: 'unknown-function',
      message: `there is no module ${path}`,
      hint: 'It is a path relative to the configuration file or an absolute one; through the Admin API, relative to gateway.functions.folder.',
    }
  }
  if (found.functions.includes(exported)) return { key: keyOf(module, exported) }
  return {
    code: 'unknown-function',
    message:
      exported === 'default'
        ? `${path} has no default export that is a function`
        : `${path} exports no function ${exported}`,
    hint:
      found.functions.length === 0
        ? 'It exports no function at all.'
        : `It exports ${found.functions.join(', ')}; \`${path}#NAME\` names one.`,
  }
}
