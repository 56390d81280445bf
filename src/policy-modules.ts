/**
 * Policies that an operator wrote: what `gateway.policies` leads to. The control thread finds them and says what is wrong
 * with them; data threads load the same files.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { findPackageJSON, registerHooks } from 'node:module'
import { basename, dirname, extname, isAbsolute, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type CheckOptions, type CheckResult, check } from './config/check.ts'
import type { Loaded } from './config/load.ts'
import { checkSchema } from './config/schema.ts'
import type { PolicyModule } from './config/settings.ts'
import { catalogue, policySchemas } from './policies/index.ts'
import type { AnyPolicy } from './policies/kit/policy.ts'

/** A configuration with the policies that it brings. They are in the catalogue afterwards when it is sound. */
export async function checkWithPolicies(
  loaded: Loaded,
  cwd: string,
  options: CheckOptions,
): Promise<CheckResult> {
  const failed = new Set<string>()
  const policies = await readPolicyModules(loaded, cwd, failed)
  const before = catalogue.others
  catalogue.others = policies
  const result = check(loaded, policySchemas(catalogue), options)
  if (result.plan !== undefined) return result
  catalogue.others = before
  // What could not be loaded is one finding, not also each of its uses.
  const isUse = (path: string) => [...failed].some((name) => path.includes(name))
  const findings = result.findings.filter(({ code, path }) => code !== 'unknown-policy' || !isUse(path))
  return { ...result, findings }
}

/**
 * Loads what `gateway.policies` leads to. What is wrong with it becomes findings of `loaded`, which also gets the modules.
 * @param failed gets the folders of those that cannot be used, which mostly have their names
 */
export async function readPolicyModules(
  loaded: Loaded,
  cwd: string,
  failed = new Set<string>(),
): Promise<ReadonlyMap<string, AnyPolicy>> {
  const found = new Map<string, AnyPolicy>()
  const files = new Map<string, string>()
  const modules: PolicyModule[] = []
  for (const place of placesOf(loaded, cwd)) {
    const root = rootOf(place)
    const candidates = root === undefined ? [] : await policyFiles(root)
    if (root === undefined || candidates.length === 0) {
      loaded.findings.push({
        code: 'file-not-found',
        severity: 'error',
        file: place.named,
        path: 'gateway.policies',
        message: `${place.entry} leads to no policy`,
        hint: 'Name a folder, relative to the configuration file, or an installed package, that has folders with a policy.ts or policy.js.',
      })
      continue
    }
    const version = await digestOf(root)
    for (const file of candidates) {
      const url = `${pathToFileURL(file)}?${mark}=${version}`
      const read = await readModule(url, files)
      if ('problem' in read) {
        failed.add(basename(dirname(file)))
        loaded.findings.push({
          code: 'invalid-policy',
          severity: 'error',
          file: relative(cwd, file),
          path: '',
          message: read.problem,
          hint: read.hint,
        })
        continue
      }
      found.set(read.policy.name, read.policy)
      files.set(read.policy.name, relative(cwd, file))
      modules.push({ name: read.policy.name, url })
    }
  }
  loaded.policies = modules
  return found
}

/** Loads the modules, in a data thread. Rejects when one cannot be loaded there. */
export async function loadPolicies(
  modules: readonly PolicyModule[],
): Promise<ReadonlyMap<string, AnyPolicy>> {
  const loaded = await Promise.all(
    modules.map(async ({ name, url }) => [name, (await importModule(url)) as AnyPolicy] as const),
  )
  return new Map(loaded)
}

/** An entry of `gateway.policies`. */
interface PolicyPlace {
  entry: string
  /** What names it. */
  named: string
  /** What it is relative to. */
  folder: string
}

function placesOf({ documents, settings = [] }: Loaded, cwd: string): PolicyPlace[] {
  const given = settings.findLast(({ path }) => path[0] === 'policies')
  if (given !== undefined)
    return textsOf(given.value).map((entry) => ({ entry, named: given.name, folder: cwd }))
  return documents.flatMap(({ file, value }) => {
    const { gateway } = (value ?? {}) as { gateway?: { policies?: unknown } }
    return textsOf(gateway?.policies).map((entry) => ({
      entry,
      named: file,
      folder: dirname(resolve(cwd, file)),
    }))
  })
}

/** Anything else is a finding of the check. */
const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((entry) => typeof entry === 'string' && entry !== '') : []

/** The folder; undefined for a package that is not installed. */
function rootOf({ entry, folder }: PolicyPlace): string | undefined {
  if (isAbsolute(entry) || entry.startsWith('.')) return resolve(folder, entry)
  try {
    const description = findPackageJSON(entry, pathToFileURL(join(folder, 'sluice.yaml')))
    return description && dirname(description)
  } catch {
    return undefined
  }
}

/** The folder's own policy, or those of the folders in it, in the order of their names. */
async function policyFiles(root: string): Promise<string[]> {
  const own = await policyFileIn(root)
  if (own !== undefined) return [own]
  const entries = await readdir(root, { withFileTypes: true }).catch(() => [])
  const names = entries.filter((entry) => !entry.isFile()).map(({ name }) => name)
  const files = await Promise.all(names.sort().map((name) => policyFileIn(join(root, name))))
  return files.filter((file) => file !== undefined)
}

async function policyFileIn(folder: string): Promise<string | undefined> {
  const names = await readdir(folder).catch(() => [] as string[])
  const name = ['policy.ts', 'policy.js'].find((candidate) => names.includes(candidate))
  return name && join(folder, name)
}

/** Of all code below the folder: a change of any file is another version of each of its policies. */
async function digestOf(root: string): Promise<string> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true })
  const files = entries
    .filter((entry) => entry.isFile() && /\.([cm]?[jt]s|json)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !relative(root, file).includes('node_modules'))
  const hash = createHash('sha256')
  for (const file of files.sort()) hash.update(`${file}\0`).update(await readFile(file).catch(() => ''))
  return hash.digest('hex').slice(0, 16)
}

async function readModule(
  url: string,
  taken: ReadonlyMap<string, string>,
): Promise<{ policy: AnyPolicy } | { problem: string; hint: string }> {
  const exported = await importModule(url).catch((error: unknown) => ({ thrown: error }))
  if (typeof exported === 'object' && exported !== null && 'thrown' in exported) {
    const [reason] = String(exported.thrown).split('\n')
    return {
      problem: `the module does not load: ${reason}`,
      hint: 'It is an ES module in JavaScript, or in TypeScript whose types can be left out; it imports from sluice-gateway/policy-kit.',
    }
  }
  if (!isPolicy(exported)) {
    return {
      problem: 'the default export is no policy',
      hint: 'Write `export default definePolicy({ ... })`, with definePolicy of sluice-gateway/policy-kit.',
    }
  }
  const { name } = exported
  const other = catalogue.isFixed(name) ? 'a built-in policy' : taken.get(name)
  if (other !== undefined)
    return { problem: `the name ${name} belongs to ${other}`, hint: 'Give the policy another name.' }
  try {
    for (const schema of [exported.config, exported.credential, exported.metadata])
      if (schema !== undefined) checkSchema(schema, {})
  } catch (error) {
    return {
      problem: `the schema of ${name} cannot be used: ${(error as Error).message}`,
      hint: 'docs/guides/write-a-policy.md lists what a schema may say.',
    }
  }
  return { policy: exported }
}

const stages = new Set(['identify', 'transform', 'authorize', 'limit'])

function isPolicy(value: unknown): value is AnyPolicy {
  if (typeof value !== 'object' || value === null) return false
  const { name, summary, stage, priority, config, create } = value as Partial<AnyPolicy>
  return (
    typeof name === 'string' &&
    /^[A-Za-z][\w-]*$/.test(name) &&
    typeof summary === 'string' &&
    stages.has(stage as string) &&
    Number.isFinite(priority) &&
    (config as { type?: unknown } | undefined)?.type === 'object' &&
    typeof create === 'function'
  )
}

/** Marks the URLs of such modules. A module cannot be loaded twice under one URL. */
const mark = 'sluice'
/** A module may wait for something while it loads; not for ever. */
const loadTimeoutMs = 10_000

async function importModule(url: string): Promise<unknown> {
  installResolver()
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new Error(`it takes more than ${loadTimeoutMs / 1000} s`)),
    loadTimeoutMs,
  )
  try {
    const module = (await Promise.race([import(url), promise])) as { default?: unknown }
    return module.default
  } finally {
    clearTimeout(timer)
  }
}

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

/** Policies find the kit of this gateway wherever they stand, and what they import of their own is of their version. */
function installResolver(): void {
  if (installed) return
  installed = true
  registerHooks({
    resolve(specifier, context, next) {
      const own = kit[specifier]
      if (own !== undefined) return { ...next(own, context), shortCircuit: true }
      const resolved = next(specifier, context)
      const version = versionOf(specifier) ?? versionOf(context.parentURL)
      if (version === undefined || !isOfOperator(resolved.url)) return resolved
      const url = new URL(resolved.url)
      url.searchParams.set(mark, version)
      const format = resolved.format ?? (url.pathname.endsWith('ts') ? 'module-typescript' : 'module')
      return { ...resolved, url: url.href, format }
    },
  })
}

const isOfOperator = (url: string) =>
  url.startsWith('file:') && !url.startsWith(ours) && !url.includes('/node_modules/')

function versionOf(url: string | undefined): string | undefined {
  if (!url?.includes(`?${mark}=`)) return undefined
  return new URL(url).searchParams.get(mark) ?? undefined
}
