/** What `sluice start` does once it knows its arguments; apart, because loading all this takes a while. */
import { resolve } from 'node:path'
import { type Disk, openDisk } from '../admin/api/disk.ts'
import { noDisk, Store } from '../admin/api/store.ts'
import { storedDocument } from '../admin/api/stored-document.ts'
import { settingsOf } from '../config/check.ts'
import { chooseSources, type Loaded, load } from '../config/load.ts'
import { type Finding, formatFinding } from '../config/problem.ts'
import { dataThreadsOf, type Settings } from '../config/settings.ts'
import type { GivenSetting } from '../config/single-settings.ts'
import { watchConfig } from '../config/watch.ts'
import type { SyncedConfiguration } from '../config-sync/protocol/messages.ts'
import { findRegistration, namesControlPlane } from '../config-sync/registration-search.ts'
import { type Addresses, Gateway } from '../control-thread.ts'
import { codeFilesAt } from '../own-modules.ts'
import { catalogue, policySchemas } from '../policies/index.ts'
import { type CodeCheckResult, checkWithPolicies } from '../policy-modules.ts'
import type { SpareThreads } from '../proxy/spare-threads.ts'
import { readerOf, type SecretReader } from '../secrets/reader.ts'
import { verifySecrets } from '../secrets/verification.ts'
import { createLog } from '../telemetry/log.ts'
import { version } from '../version.ts'
import { type CliIo, exitCode } from './command.ts'
import type { Following } from './following.ts'
import { type Signals, watchSignals } from './signals.ts'
import { overrideSettings, withSynced } from './synced-document.ts'

/** Prints what is wrong with a configuration, if anything is. */
export async function checkOnly(
  named: readonly string[],
  io: CliIo,
  flags: readonly GivenSetting[] = [],
): Promise<number> {
  const sources = await chooseSources(named, io.cwd, io.env)
  const { plan, findings } = await readConfiguration(sources, io, { secretReader: readerOf(io), flags })
  for (const finding of findings) io.stderr.write(formatFinding(finding))
  if (plan === undefined) return exitCode.invalid
  io.stdout.write('The configuration is valid.\n')
  return exitCode.ok
}

/** Runs until a signal ends it. `named`: the sources of the configuration, if any were named. */
export async function serve(
  named: readonly string[],
  threads: SpareThreads,
  io: CliIo,
  flags: readonly GivenSetting[] = [],
): Promise<number> {
  const sources = await chooseSources(named, io.cwd, io.env)
  const slot: StoreSlot = {}
  const secretReader = readerOf(io)
  const read = async (synced = slot.synced) => {
    const since = Date.now()
    const result = await readConfiguration(sources, io, { slot, secretReader, flags, synced })
    const { code } = result
    await watcher.follow(() => codeFilesAt(code), since)
    return result
  }
  const started = Promise.withResolvers<Gateway>()
  /** @returns whether it was taken */
  const reload = async () => (await (await started.promise).reload()) === undefined
  const signals = watchSignals({
    reload,
    reopenLogs: async () => (await started.promise).reopenLogs(),
  })
  // Before the first reading, so that no save falls between the two.
  const watcher = watchConfig(sources, reload, { cwd: io.cwd })
  let following: Following | undefined
  try {
    await watcher.ready
    following = await joined(sources, io, flags)
    slot.synced = following?.configuration
    let reading = await read()
    while (reading.plan === undefined && (await following?.startAfresh())) {
      slot.synced = following?.configuration
      reading = await read()
    }
    const { plan, configuration, findings, digests } = reading
    for (const finding of findings) io.stderr.write(formatFinding(finding))
    if (plan === undefined || configuration === undefined) {
      await following?.refuse(findings)
      return exitCode.invalid
    }
    const log = createLog(plan.settings.log.level)
    const store = slot.store!
    const gateway = new Gateway({
      plan,
      configuration,
      catalogue: policySchemas(catalogue),
      store,
      secretReader,
      log,
      read,
      readDocuments: () => load(sources, io.env, io.cwd, flags),
      digests,
      threads,
      ...(following && { sync: following.view, open: following.open }),
    })
    const addresses = await startUnlessStopped(gateway, signals)
    if (addresses === undefined) return exitCode.ok

    io.stdout.write(banner(addresses, dataThreadsOf(plan.settings)))
    log.info({ version, pid: process.pid, startMs: Math.round(performance.now()) }, 'ready')
    await following?.follow(gateway, (configuration) => {
      slot.synced = configuration
    })
    started.resolve(gateway)
    await signals.stop
    log.info({ graceMs: plan.settings.timeouts.drain }, 'stopping: requests in flight may finish')
    return await end(gateway, signals)
  } finally {
    watcher.close()
    signals.close()
    await following?.stop()
    await slot.store?.close()
  }
}

/** Undefined: there is no control plane. Files that cannot be read are told of by the reading that follows. */
async function joined(
  sources: readonly string[],
  io: CliIo,
  flags: readonly GivenSetting[],
): Promise<Following | undefined> {
  const settings = settingsOf(withoutAbsence(await load(sources, io.env, io.cwd, flags)), version)
  if (settings === undefined) return undefined
  const { registration: named } = settings.sync
  const file = named === undefined ? await findRegistration(sources, io.env, io.cwd) : resolve(io.cwd, named)
  if (file === undefined && !namesControlPlane(io.env)) return undefined
  const { Following } = await import('./following.ts')
  return Following.join(file, settings, io, createLog(settings.log.level))
}

/** Who has a control plane may have no file of its own. */
function withoutAbsence(loaded: Loaded): Loaded {
  const isAbsence = ({ code, file }: Finding) =>
    code === 'no-configuration' || (code === 'file-not-found' && file === './sluice.yaml')
  return { ...loaded, findings: loaded.findings.filter((finding) => !isAbsence(finding)) }
}

/** Undefined when a signal came first. */
async function startUnlessStopped(gateway: Gateway, signals: Signals): Promise<Addresses | undefined> {
  const starting = gateway.start()
  const stopped = signals.stop.then(() => undefined)
  const addresses = await Promise.race([starting, stopped])
  if (addresses === undefined) await Promise.all([gateway.stop(), starting.catch(() => {})])
  return addresses
}

async function end(gateway: Gateway, signals: Signals): Promise<number> {
  let code: number = exitCode.ok
  signals.stopNow.then(() => {
    code = exitCode.failure
    return gateway.stop()
  })
  await gateway.drain()
  return code
}

function banner({ listeners, metrics, control, admin }: Addresses, threads: number): string {
  const lines = [
    `sluice ${version} takes traffic on ${threads} data thread${threads === 1 ? '' : 's'}.`,
    ...listeners.map(({ name, protocol, host, port }) => line(name, `${protocol}://${at(host, port)}`)),
  ]
  if (metrics !== undefined) {
    const address = at(metrics.host, metrics.port)
    lines.push(line('metrics', `http://${address}/metrics`), line('health', `http://${address}/readyz`))
  }
  if (control !== undefined) lines.push(line('control', `http://${at(control.host, control.port)}/v1/plan`))
  if (admin !== undefined) lines.push(line('admin', `http://${at(admin.host, admin.port)}/apisix/admin`))
  return `${lines.join('\n')}\n`
}

function line(name: string, url: string): string {
  return `  ${name.padEnd(10)} ${url}`
}

function at(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Opened by the first reading, because where it is stands in the settings. */
interface StoreSlot {
  store?: Store
  /** Of the control plane, in force. */
  synced?: SyncedConfiguration | undefined
}

interface ReadingOptions {
  slot?: StoreSlot
  secretReader: SecretReader
  flags: readonly GivenSetting[]
  synced?: SyncedConfiguration | undefined
}

async function readConfiguration(
  sources: readonly string[],
  io: CliIo,
  { slot, secretReader, flags, synced }: ReadingOptions,
): Promise<CodeCheckResult> {
  const files = await load(sources, io.env, io.cwd, flags)
  const loaded = synced === undefined ? files : withSynced(withoutAbsence(files), synced, io.env)
  if (slot !== undefined && slot.store === undefined) {
    const settings = settingsOf(loaded, version)
    if (settings !== undefined) slot.store = new Store(await diskOf(settings, io.cwd))
  }
  const held = slot?.store && storedDocument(slot.store)
  const result = await checkWithPolicies(loaded, io.cwd, { gatewayVersion: version, held })
  if (synced !== undefined && result.plan !== undefined) overrideSettings(result.plan.settings, synced)
  return { ...(await verifySecrets(result, secretReader)), code: result.code }
}

/** Without an Admin API there is nothing to keep, and no file is made. */
async function diskOf({ admin, data_dir: folder }: Settings, cwd: string): Promise<Disk> {
  if (!admin.enabled || folder === ':memory:') return noDisk
  try {
    return await openDisk(resolve(cwd, folder), { keys: admin.keyring, encrypt: admin.encrypt })
  } catch (error) {
    throw new Error(`the folder ${folder} (gateway.data_dir) cannot be used: ${(error as Error).message}`)
  }
}
