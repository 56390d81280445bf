/**
 * Files and folders -> documents with positions and expanded variables. Nothing is checked here beyond the syntax;
 * `check` does that for all documents at once.
 */
import { hash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { readAdminKey } from './admin-key.ts'
import { flexSettings } from './dialects/flex/environment.ts'
import { expandNames, isFlexResource } from './dialects/flex/names.ts'
import { type Environment, expandVariables, mayReferToVariables } from './environment.ts'
import { scanJson } from './json-text.ts'
import { locatePlainYaml, readPlainYaml } from './plain-yaml.ts'
import { LineIndex, type LocatedPosition, type Position, type Wanted, wantedTree } from './position.ts'
import { type Finding, formatPath, type PathSegment } from './problem.ts'
import { mayReferToSecrets } from './secret-reference.ts'
import type { FunctionModule, PolicyModule } from './settings.ts'
import { type GivenSetting, settingsOfEnvironment } from './single-settings.ts'
import { locateYaml, readYaml } from './yaml-text.ts'

/** One document of a file. */
export interface SourceDocument {
  /** As it was named, or the folder's name and its own. */
  file: string
  value: unknown
  /** It is a file of the operator, whose word is enough to run code. */
  mayNameCode?: true
  /** False: no string in it refers to a secret. */
  holdsReferences?: boolean
  /** It came from elsewhere, and its policies may start no programs. */
  startsNothing?: boolean
  /** Where wanted places stand, in their order. Reads the text a second time, so it is asked once, for findings. */
  locate(wanted: readonly Wanted[]): (LocatedPosition | undefined)[]
}

export interface Loaded {
  documents: SourceDocument[]
  findings: Finding[]
  /** Digests of the files that were read, to tell later whether they are still the same. */
  digests?: Map<string, string>
  /** In which references are looked up. */
  env?: Environment
  /** Settings from outside of the files; a later one is stronger. */
  settings?: readonly GivenSetting[]
  /** Of the Admin API, from the environment. */
  adminKey?: string
  /** What `gateway.policies` leads to; whoever loads them says so. */
  policies?: readonly PolicyModule[]
  /** With functions that policies run; whoever loads them says so. */
  functions?: readonly FunctionModule[]
}

/** Where a configuration is looked for when none is named; the first that exists is taken. The last is Flex Gateway's. */
const defaultSources = [
  './sluice.yaml',
  '/etc/sluice/',
  '/usr/local/share/mulesoft/flex-gateway/conf.d/',
] as const

/** The variable with a whole configuration of Flex Gateway, beside that of its files. */
const inlineVariable = 'FLEX_CONFIG'

/**
 * The sources that were named, or else the default that exists; when neither does, none if the environment has a
 * configuration, and else the first default.
 */
export async function chooseSources(
  named: readonly string[],
  cwd: string,
  env: Environment = {},
): Promise<readonly string[]> {
  if (named.length > 0) return named
  for (const source of defaultSources) {
    const exists = await stat(resolve(cwd, source)).then(
      () => true,
      () => false,
    )
    if (exists) return [source]
  }
  return (env[inlineVariable] ?? '') === '' ? [defaultSources[0]] : []
}

/** What a registration with a control plane wrote; no part of a configuration. */
const registration = 'registration.yaml'
const registrationCertificate = 'certificate.yaml'

const extensions = /\.(ya?ml|json)$/

/**
 * Reads every source, in the order given. A folder stands for its `*.yaml`, `*.yml` and `*.json` in the order of their
 * names, without hidden files; of its subfolders only resources of Flex Gateway are read. Never throws for what it finds:
 * that becomes findings. Findings name the files as they were given, relative to `cwd`.
 * @param flags settings of the command line, stronger than those of the environment
 */
export async function load(
  sources: readonly string[],
  env: Environment,
  cwd: string = process.cwd(),
  flags: readonly GivenSetting[] = [],
): Promise<Loaded> {
  const digests = new Map<string, string>()
  const loaded: Loaded = { documents: [], findings: [], digests, env }
  const { key, finding } = await readAdminKey(env, cwd)
  if (key !== undefined) loaded.adminKey = key
  if (finding !== undefined) loaded.findings.push(finding)
  const mentioned = new Set<string>()
  for (const source of sources) {
    try {
      for (const file of await sourceFiles(source, cwd)) {
        const text = await readFile(resolve(cwd, file), 'utf8')
        if (isNested(file, source, cwd) && !text.includes('gateway.mulesoft.com')) continue
        digests.set(file, hash('sha256', text))
        for (const [name] of text.matchAll(/\bSLUICE_\w+/g)) mentioned.add(name)
        const known = loaded.documents.length
        readText(file, text, env, loaded)
        for (const document of loaded.documents.slice(known)) document.mayNameCode = true
      }
    } catch (error) {
      loaded.findings.push(unreadable(source, error as NodeJS.ErrnoException))
    }
  }
  const inline = env[inlineVariable] ?? ''
  if (inline !== '') readText(inlineVariable, inline, env, loaded)
  const { given, findings } = await settingsOfEnvironment(env, cwd, mentioned)
  const ofFlex = loaded.documents.some(isFlexResource) ? flexSettings(env) : { given: [], findings: [] }
  loaded.findings.push(...ofFlex.findings)
  loaded.settings = [...ofFlex.given, ...given, ...flags]
  const isEmpty = loaded.documents.length === 0 && loaded.findings.length === 0
  loaded.findings.push(...findings)
  if (isEmpty) {
    loaded.findings.push({
      code: 'no-configuration',
      severity: 'error',
      path: '',
      message: `there is nothing to read in ${sources.join(', ') || 'an empty list of sources'}`,
      hint: 'Name a file that is not empty, or a folder with files that end in .yaml, .yml or .json.',
    })
  }
  return loaded
}

/** How deep the folders of a source are looked through. */
const deepest = 8

/** The files that a source stands for: those of a folder, and behind them those of its subfolders. */
export async function sourceFiles(source: string, cwd: string): Promise<string[]> {
  if (!(await stat(resolve(cwd, source))).isDirectory()) return [source]
  return filesIn(source, cwd, deepest)
}

async function filesIn(folder: string, cwd: string, depth: number): Promise<string[]> {
  const entries = await readdir(resolve(cwd, folder), { withFileTypes: true })
  const names = entries
    .filter((entry) => !entry.isDirectory() && extensions.test(entry.name) && !entry.name.startsWith('.'))
    .map(({ name }) => name)
  const isRegistered = names.includes(registration)
  const files = names
    .filter((name) => !isRegistered || (name !== registration && name !== registrationCertificate))
    .toSorted()
    .map((name) => join(folder, name))
  const folders = entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules')
    .map(({ name }) => join(folder, name))
    .toSorted()
  if (depth === 0) return files
  // One that may not be read is none of the configuration's.
  const further = await Promise.all(folders.map((one) => filesIn(one, cwd, depth - 1).catch(() => [])))
  return [...files, ...further.flat()]
}

/** Whether it stands in a folder inside of the one that was named. */
const isNested = (file: string, source: string, cwd: string): boolean =>
  ![resolve(cwd, file), dirname(resolve(cwd, file))].includes(resolve(cwd, source))

/** Adds the documents and findings of one text; `load` for a text that is already in memory. */
export function readText(file: string, text: string, env: Environment, loaded: Loaded): void {
  const source = text.startsWith('\uFEFF') ? text.slice(1) : text
  const value = parseJson(source)
  if (value !== undefined) addJson(file, source, value, env, loaded)
  else if (basename(file).endsWith('.json')) addJsonSyntaxError(file, source, loaded)
  else addYaml(file, source, env, loaded)
}

/** JSON has a parser of its own, because it is a hundred times as fast as reading it as YAML. */
function parseJson(text: string): unknown {
  if (!/^\s*\{/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function addJson(file: string, text: string, value: unknown, env: Environment, loaded: Loaded): void {
  const locate = (wanted: readonly Wanted[]) => {
    const lines = new LineIndex(text)
    const positions = new Array<Position | undefined>(wanted.length)
    scanJson(text, wantedTree(wanted), (index, offset) => {
      positions[index] = lines.position(offset)
    })
    return positions
  }
  const { duplicateKeys, syntaxError } = scanJson(text)
  for (const { offset, key } of duplicateKeys) {
    loaded.findings.push({
      code: 'duplicate-key',
      severity: 'error',
      file,
      ...new LineIndex(text).position(offset),
      path: '',
      message: `the key ${JSON.stringify(key)} was already given in the same object`,
      hint: 'Readers of JSON do not agree on which one counts: remove one.',
    })
  }
  if (syntaxError !== undefined) addJsonSyntaxError(file, text, loaded)
  else addDocument({ file, value, locate }, text, env, loaded)
}

function addJsonSyntaxError(file: string, text: string, loaded: Loaded): void {
  const { syntaxError } = scanJson(text)
  loaded.findings.push({
    code: 'syntax',
    severity: 'error',
    file,
    ...new LineIndex(text).position(syntaxError?.offset ?? 0),
    path: '',
    message: `not well-formed JSON: ${syntaxError?.message ?? 'it holds no object'}`,
  })
}

function addYaml(file: string, text: string, env: Environment, loaded: Loaded): void {
  const value = readPlainYaml(text)
  const isPlain = value !== undefined
  const { values, problems } = isPlain ? { values: [value], problems: [] } : readYaml(text)
  const lines = new LineIndex(text)
  for (const { code, offset, message } of problems) {
    const prefix = code === 'syntax' ? 'not well-formed YAML: ' : ''
    loaded.findings.push({
      code,
      severity: 'error',
      file,
      ...lines.position(offset),
      path: '',
      message: prefix + message,
    })
  }
  values.forEach((value, documentIndex) => {
    const locate = (wanted: readonly Wanted[]) => {
      const positions = new Array<Position | undefined>(wanted.length)
      const tree = wantedTree(wanted)
      const found = (index: number, offset: number) => {
        positions[index] = lines.position(offset)
      }
      if (!isPlain || !locatePlainYaml(text, tree, found)) locateYaml(text, documentIndex, tree, found)
      return positions
    }
    addDocument({ file, value, locate }, text, env, loaded)
  })
}

function addDocument(document: SourceDocument, text: string, env: Environment, loaded: Loaded): void {
  const { file } = document
  const problems: { path: PathSegment[]; finding: Omit<Finding, 'path'> }[] = []
  if (text.includes('__proto__')) {
    for (const path of forbiddenKeys(document.value)) {
      problems.push({
        path,
        finding: {
          code: 'forbidden-key',
          severity: 'error',
          file,
          message: 'the key `__proto__` is not allowed',
        },
      })
    }
  }
  if (mayReferToVariables(text)) {
    document.value = expandVariables(document.value, env, ({ path, name, problem }) => {
      problems.push({ path, finding: missingVariable(file, name, problem) })
    })
  }
  if (isFlexResource(document)) {
    document.value = expandNames(document.value, env, (path, name) => {
      problems.push({
        path,
        finding: {
          ...missingVariable(file, name, 'not set'),
          hint: `Set it for the process: $${name} stands for its value here, as it does in Flex Gateway.`,
        },
      })
    })
  }
  if (problems.length > 0) {
    const positions = document.locate(problems.map(({ path }) => ({ path, at: 'value' })))
    problems.forEach(({ path, finding }, index) => {
      loaded.findings.push({ ...finding, path: formatPath(path), ...positions[index] })
    })
  }
  document.holdsReferences = mayReferToSecrets(text)
  loaded.documents.push(document)
}

function missingVariable(file: string, name: string, problem: string): Omit<Finding, 'path'> {
  return {
    code: 'missing-variable',
    severity: 'error',
    file,
    message: `the environment variable ${name} is ${problem}`,
    hint: 'Set it for the process, or write `$${` where no reference is meant.',
  }
}

/** A key that would reach into the prototype of whatever copies the object. */
function forbiddenKeys(value: unknown, path: PathSegment[] = []): PathSegment[][] {
  if (typeof value !== 'object' || value === null) return []
  const found = Object.hasOwn(value, '__proto__') ? [[...path, '__proto__']] : []
  for (const [key, item] of Object.entries(value)) {
    found.push(...forbiddenKeys(item, [...path, Array.isArray(value) ? Number(key) : key]))
  }
  return found
}

function unreadable(source: string, error: NodeJS.ErrnoException): Finding {
  if (error.code === 'ENOENT') {
    return {
      code: 'file-not-found',
      severity: 'error',
      file: source,
      path: '',
      message: 'there is no such file or folder',
    }
  }
  return {
    code: 'file-unreadable',
    severity: 'error',
    file: source,
    path: '',
    message: `it cannot be read (${error.code ?? 'unknown error'})`,
  }
}
