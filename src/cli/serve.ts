/** What `sluice start` does once it knows its arguments; apart, because loading all this takes a while. */
import { resolve } from 'node:path'
import { type Disk, openDisk } from '../admin/api/disk.ts'
import { noDisk, Store } from '../admin/api/store.ts'
import { storedDocument } from '../admin/api/stored-document.ts'
import { type CheckResult, settingsOf } from '../config/check.ts'
import { chooseSources, load } from '../config/load.ts'
import { formatFinding } from '../config/problem.ts'
import { dataThreadsOf, type Settings } from '../config/settings.ts'
import type { GivenSetting } from '../config/single-settings.ts'
import { watchConfig } from '../config/watch.ts'
import { type Addresses, Gateway } from '../control-thread.ts'
import { catalogue, policySchemas } from '../policies/index.ts'
import { checkWithPolicies } from '../policy-modules.ts'
import type { SpareThreads } from '../proxy/spare-threads.ts'
import { readerOf, type SecretReader } from '../secrets/reader.ts'
import { verifySecrets } from '../secrets/verification.ts'
import { createLog } from '../telemetry/log.ts'
import { version } from '../version.ts'
import { type CliIo, exitCode } from './command.ts'
import { type Signals, watchSignals } from './signals.ts'

/** Prints what is wrong with a configuration, if anything is. */
export async function checkOnly(
  named: readonly string[],
  io: CliIo,
  flags: readonly GivenSetting[] = [],
): Promise<number> {
  const sources = await chooseSources(named, io.cwd)
  const { plan, findings } = await readConfiguration(sources, io, undefined, readerOf(io), flags)
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
  const sources = await chooseSources(named, io.cwd)
  const slot: StoreSlot = {}
  const secretReader = readerOf(io)
  const read = () => readConfiguration(sources, io, slot, secretReader, flags)
  const started = Promise.withResolvers<Gateway>()
  const reload = async () => void (await (await started.promise).reload())
  const signals = watchSignals({
    reload,
    reopenLogs: async () => (await started.promise).reopenLogs(),
  })
  // Before the first reading, so that no save falls between the two.
  const watcher = watchConfig(sources, reload, { cwd: io.cwd })
  try {
    await watcher.ready
    const { plan, configuration, findings, digests } = await read()
    for (const finding of findings) io.stderr.write(formatFinding(finding))
    if (plan === undefined || configuration === undefined) return exitCode.invalid
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
    })
    const addresses = await startUnlessStopped(gateway, signals)
    if (addresses === undefined) return exitCode.ok

    io.stdout.write(banner(addresses, dataThreadsOf(plan.settings)))
    log.info({ version, pid: process.pid, startMs: Math.round(performance.now()) }, 'ready')
    started.resolve(gateway)
    await signals.stop
    log.info({ graceMs: plan.settings.timeouts.drain }, 'stopping: requests in flight may finish')
    return await end(gateway, signals)
  } finally {
    watcher.close()
    signals.close()
    await slot.store?.close()
  }
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
}

async function readConfiguration(
  sources: readonly string[],
  io: CliIo,
  slot: StoreSlot | undefined,
  secretReader: SecretReader,
  flags: readonly GivenSetting[],
): Promise<CheckResult> {
  const loaded = await load(sources, io.env, io.cwd, flags)
  if (slot !== undefined && slot.store === undefined) {
    const settings = settingsOf(loaded, version)
    if (settings !== undefined) slot.store = new Store(await diskOf(settings, io.cwd))
  }
  const held = slot?.store && storedDocument(slot.store)
  const result = await checkWithPolicies(loaded, io.cwd, { gatewayVersion: version, held })
  return verifySecrets(result, secretReader)
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
