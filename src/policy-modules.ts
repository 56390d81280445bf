/**
 * Policies that an operator wrote: what `gateway.policies` leads to. The control thread finds them and says what is wrong
 * with them; data threads load the same files.
 */
import { readdir } from 'node:fs/promises'
import { findPackageJSON } from 'node:module'
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type CheckOptions, type CheckResult, check } from './config/check.ts'
import type { Loaded } from './config/load.ts'
import { knownFunctions, setKnownFunctions } from './config/own-functions.ts'
import { checkSchema } from './config/schema.ts'
import { dataThreadsOf, type PolicyModule } from './config/settings.ts'
import { readFunctionModules } from './function-modules.ts'
import { probeModules } from './module-probe.ts'
import { codeFilesBelow, digestOf, importModule, reasonOf, versionedUrl } from './own-modules.ts'
import { catalogue, policySchemas } from './policies/index.ts'
import type { AnyPolicy } from './policies/kit/policy.ts'
import { ModuleVersions } from './proxy/module-versions.ts'

/**
 * Versions of code in use no more that a thread may hold which cannot be restarted without loss: the control thread, which
 * loads policies, and a data thread that is alone.
 */
const mostOldVersions = 256
/** Policies, in the control thread. */
const ofPolicies = new ModuleVersions()
/** Functions, in every data thread. */
const ofFunctions = new ModuleVersions()

/** A check, and the code of the operator that it looked at. */
export interface CodeCheckResult extends CheckResult {
  /** Absolute paths of files and folders with code that the configuration names, whether or not it is sound. */
  code: readonly string[]
}

/**
 * A configuration with the policies and functions that it brings. They are in force afterwards when it is sound: the
 * policies in the catalogue, the functions for every later check.
 * @param most see `mostOldVersions`
 */
export async function checkWithPolicies(
  loaded: Loaded,
  cwd: string,
  options: CheckOptions,
  most = mostOldVersions,
): Promise<CodeCheckResult> {
  const failed = new Set<string>()
  const policies = await readPolicyModules(loaded, cwd, failed, most)
  const functions = await readFunctionModules(loaded, cwd)
  const { folder } = functions.known
  const code = [...placesOf(loaded, cwd).map(rootOf), folder, ...functions.files].filter(
    (path) => path !== undefined,
  )
  const before = catalogue.others
  const functionsBefore = knownFunctions()
  catalogue.others = policies
  setKnownFunctions(functions.known)
  const checked = check(loaded, policySchemas(catalogue), options)
  const result = { ...(checked.plan === undefined ? checked : withoutTooMuchCode(checked, most)), code }
  if (result.plan !== undefined) return result
  catalogue.others = before
  setKnownFunctions(functionsBefore)
  // What could not be loaded is one finding, not also each of its uses.
  const isUse = (path: string) => [...failed].some((name) => path.includes(name))
  const findings = result.findings.filter(({ code, path }) => code !== 'unknown-policy' || !isUse(path))
  return { ...result, findings }
}

/** Several data threads are restarted one by one when they hold too much; one that is alone is not. */
function withoutTooMuchCode(checked: CheckResult, most: number): CheckResult {
  const { plan } = checked
  if (plan === undefined) return checked
  const urls = plan.settings.functions.modules.map(({ url }) => url)
  if (dataThreadsOf(plan.settings) === 1 && !ofFunctions.haveRoom(urls, most))
    return { findings: [...checked.findings, { ...tooManyVersions(most), path: '' }] }
  ofFunctions.add(urls)
  return checked
}

const tooManyVersions = (most: number) => ({
  code: 'too-many-versions' as const,
  severity: 'error' as const,
  message: `${most} older versions of code are loaded already, and stay in memory until the gateway is restarted`,
  hint: 'Restart the gateway; the configuration in use goes on with the code that it has until then.',
})

/**
 * Loads what `gateway.policies` leads to. What is wrong with it becomes findings of `loaded`, which also gets the modules.
 * @param failed gets the folders of those that cannot be used, which mostly have their names
 */
export async function readPolicyModules(
  loaded: Loaded,
  cwd: string,
  failed = new Set<string>(),
  most = mostOldVersions,
): Promise<ReadonlyMap<string, AnyPolicy>> {
  const found = new Map<string, AnyPolicy>()
  const files = new Map<string, string>()
  const modules: PolicyModule[] = []
  const places = await Promise.all(
    placesOf(loaded, cwd).map(async (place) => ({ place, urls: await modulesAt(rootOf(place)) })),
  )
  const wanted = places.flatMap(({ urls }) => urls.map(([, url]) => url))
  const hasRoom = ofPolicies.haveRoom(wanted, most)
  for (const { place, urls } of places) {
    if (urls.length === 0) {
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
    if (!hasRoom) {
      for (const [file] of urls) failed.add(basename(dirname(file)))
      loaded.findings.push({ ...tooManyVersions(most), file: place.named, path: 'gateway.policies' })
      continue
    }
    ofPolicies.add(urls.map(([, url]) => url))
    const problems = await problemsOf(urls.map(([, url]) => url))
    for (const [file, url] of urls) {
      const problem = problems.get(url)
      const read = problem === undefined ? await readModule(url, files) : notLoaded(problem)
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

/** Files with policies, and what each is loaded by. */
async function modulesAt(root: string | undefined): Promise<(readonly [file: string, url: string])[]> {
  if (root === undefined) return []
  const files = await policyFiles(root)
  if (files.length === 0) return []
  const version = await digestOf(await codeFilesBelow(root))
  return files.map((file) => [file, versionedUrl(file, version)])
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
  // A document that comes from elsewhere than the operator's files names no code.
  const own = documents.filter(({ mayNameCode }) => mayNameCode === true)
  return own.flatMap(({ file, value }) => {
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

/** Modules that have been loaded once in a thread of their own, and ended loading. */
const harmless = new Set<string>()

/** Why modules cannot be loaded in this thread, which must go on whatever they do. */
async function problemsOf(urls: readonly string[]): Promise<Map<string, string>> {
  const problems = new Map<string, string>()
  for (const [url, probed] of await probeModules(urls.filter((url) => !harmless.has(url)))) {
    if ('problem' in probed) problems.set(url, probed.problem)
    else harmless.add(url)
  }
  return problems
}

const notLoaded = (reason: string) => ({
  problem: `the module does not load: ${reason}`,
  hint: 'It is an ES module in JavaScript, or in TypeScript whose types can be left out; it imports from sluice-gateway/policy-kit.',
})

async function readModule(
  url: string,
  taken: ReadonlyMap<string, string>,
): Promise<{ policy: AnyPolicy } | { problem: string; hint: string }> {
  let exported: unknown
  try {
    exported = (await importModule(url)).default
  } catch (error) {
    return notLoaded(reasonOf(error))
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
