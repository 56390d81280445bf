/**
 * Loads modules that an operator wrote in a thread of their own first, which ends afterwards: one whose top level does
 * not end, ends the thread or takes all memory does so there, and becomes a finding.
 */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { loadTimeoutMs } from './own-modules.ts'

export interface ProbedModule {
  /** Names of the exports that are functions. */
  functions: readonly string[]
  /** Absolute paths of all files of the operator that it consists of. */
  files: readonly string[]
}

export type Probed = ProbedModule | { problem: string; files: readonly string[] }

export type FromProbe = { begun: string } | { url: string; probed: Probed }

const threadFile = new URL(`./module-probe-thread${extname(import.meta.url)}`, import.meta.url)
/** Mebibytes that a module may have on the heap when it has been loaded. */
const heapLimit = 512
const partsOfTimeout = 10

/** By URL. @param timeoutMs for each module */
export async function probeModules(
  urls: readonly string[],
  timeoutMs: number = loadTimeoutMs,
): Promise<Map<string, Probed>> {
  const results = new Map<string, Probed>()
  while (results.size < urls.length) {
    const left = urls.filter((url) => !results.has(url))
    await probeInThread(left, timeoutMs, results)
  }
  return results
}

/** Goes on to the first module that ends the thread, which then has its result too. */
async function probeInThread(
  urls: readonly string[],
  timeoutMs: number,
  results: Map<string, Probed>,
): Promise<void> {
  const thread = new Worker(threadFile, {
    name: 'probe',
    workerData: urls,
    resourceLimits: { maxOldGenerationSizeMb: heapLimit },
  })
  const { promise: ended, resolve: end } = Promise.withResolvers<void>()
  let current = urls[0]!
  let problem = 'it ends the thread that loads it'
  // Counted in parts, so that a process which was stopped meanwhile does not blame the module.
  let parts = 0
  const timer = setInterval(() => {
    if (++parts < partsOfTimeout) return
    problem = `it takes more than ${timeoutMs / 1000} s`
    void thread.terminate()
  }, timeoutMs / partsOfTimeout)
  thread.on('message', (message: FromProbe) => {
    parts = 0
    if ('begun' in message) current = message.begun
    else results.set(message.url, message.probed)
    if (urls.every((url) => results.has(url))) void thread.terminate()
  })
  thread.on('error', (error: NodeJS.ErrnoException) => {
    problem = error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'it takes too much memory' : String(error)
  })
  thread.on('exit', () => end())
  await ended
  clearInterval(timer)
  if (!results.has(current)) results.set(current, { problem, files: [] })
}
