/** How `sluice start` joins a control plane: its registration, and the configuration to start with. */
import { join, resolve } from 'node:path'
import type { Finding } from '../config/problem.ts'
import type { Settings } from '../config/settings.ts'
import { SyncAgent } from '../config-sync/agent.ts'
import { registrationOfEnvironment } from '../config-sync/bootstrap.ts'
import type { Candidate } from '../config-sync/held-configuration.ts'
import { ConfigurationStore } from '../config-sync/kept-configuration.ts'
import { instant } from '../config-sync/protocol/delegation.ts'
import type { ReportedRefusal, SyncedConfiguration } from '../config-sync/protocol/messages.ts'
import {
  certificateOf,
  type Registration,
  RegistrationError,
  readRegistration,
  withRenewed,
} from '../config-sync/registration.ts'
import { registrationFile } from '../config-sync/registration-search.ts'
import { readRuntimeConfiguration } from '../config-sync/runtime-configuration.ts'
import { syncChecks, syncFamilies } from '../config-sync/status.ts'
import type { Gateway, SyncView } from '../control-thread.ts'
import type { Log } from '../telemetry/log.ts'
import { version } from '../version.ts'
import { type CliIo, CommandError } from './command.ts'

export class Following {
  readonly #agent: SyncAgent
  #configuration: SyncedConfiguration
  /** Undefined: the configuration is the one that was kept. */
  #candidate: Candidate | undefined

  private constructor(agent: SyncAgent, configuration: SyncedConfiguration, candidate?: Candidate) {
    this.#agent = agent
    this.#configuration = configuration
    this.#candidate = candidate
  }

  /** Undefined: the files alone count. @throws CommandError when there is nothing to start with */
  static async join(
    file: string | undefined,
    settings: Settings,
    io: CliIo,
    log: Log,
  ): Promise<Following | undefined> {
    const found = await registrationOf(file, io)
    if (found === undefined) return undefined
    if (!found.connected) {
      log.info({ name: found.name }, 'registered for local mode: the configuration is that of the files')
      return undefined
    }
    const folder = resolve(io.cwd, settings.data_dir, 'sync', found.id)
    const keeps = settings.data_dir !== ':memory:'
    const renewedFile = join(folder, registrationFile)
    const registration = keeps ? await withRenewed(found, renewedFile) : found
    const agent = await openAgent(
      {
        registration,
        settings: settings.sync,
        log,
        version,
        ...(file !== undefined && { file }),
        ...(keeps && { store: new ConfigurationStore(folder, registration), renewedFile }),
      },
      folder,
    )
    const kept = await agent.kept()
    if (kept !== undefined) return new Following(agent, kept)
    const candidate = await firstConfiguration(agent, registration, file)
    return new Following(agent, candidate.configuration, candidate)
  }

  /** Whether traffic is to be taken from the start. */
  get open(): boolean {
    return this.#configuration.desired_status !== 'STOPPED'
  }

  /** To start with. */
  get configuration(): SyncedConfiguration {
    return this.#configuration
  }

  /** What was kept cannot be run by this version: what was in force before, or the control plane's own, takes its place. */
  async startAfresh(): Promise<boolean> {
    if (this.#candidate !== undefined) return false
    const earlier = await this.#agent.earlier()
    if (earlier !== undefined) {
      this.#configuration = earlier
      return true
    }
    this.#candidate = await this.#agent.first().catch((error: Error) => {
      throw new CommandError(
        `what was kept of the control plane cannot be run, and there is nothing else: ${error.message}`,
      )
    })
    this.#configuration = this.#candidate.configuration
    return true
  }

  /** The configuration to start with cannot be run. */
  async refuse(findings: readonly Finding[]): Promise<void> {
    if (this.#candidate === undefined) return
    const errors = findings.filter(({ severity }) => severity === 'error')
    const message = 'the configuration has errors'
    const refusal = refusalOf({ code: 'invalid-configuration', message, findings: errors })
    await this.#agent.refused(refusal, this.#candidate.manifest)
  }

  get view(): SyncView {
    return {
      remarks: () => syncChecks(this.#agent.status(), Math.floor(Date.now() / 1000)),
      families: () => syncFamilies(this.#agent.status()),
      status: () => this.#agent.status(),
    }
  }

  /**
   * The first configuration is in force; what comes next is put to work.
   * @param adopt is called with each configuration that is in force
   */
  async follow(gateway: Gateway, adopt: (configuration: SyncedConfiguration) => void): Promise<void> {
    await applyRuntime(gateway, this.#configuration)
    const followed = {
      facts: () => gateway.facts(),
      metrics: () => gateway.metrics(),
      health: () => gateway.health(),
      followLog: (listener: (line: string) => void) => gateway.followLog(listener),
      take: async (configuration: SyncedConfiguration) => {
        const runtime = readRuntimeConfiguration(configuration.runtime_configuration ?? {})
        if ('code' in runtime) return runtime
        const problem = await gateway.take(configuration, () => adopt(configuration))
        if (problem !== undefined) return refusalOf(problem)
        await applyRuntime(gateway, configuration)
        return undefined
      },
    }
    // The control plane may take its time to hear of it; traffic does not wait.
    const told = this.#candidate && this.#agent.accepted(this.#candidate)
    void Promise.resolve(told).then(() => this.#agent.follow(followed))
  }

  stop(): Promise<void> {
    return this.#agent.stop()
  }
}

/** What is not part of a plan: whether traffic is taken, where health is asked for, and where the log goes. */
async function applyRuntime(gateway: Gateway, configuration: SyncedConfiguration): Promise<void> {
  const runtime = readRuntimeConfiguration(configuration.runtime_configuration ?? {})
  await gateway.setProbe('code' in runtime ? undefined : runtime.probe)
  await gateway.setLogOutputs('code' in runtime ? [] : runtime.logOutputs)
  await gateway.setOpen(configuration.desired_status !== 'STOPPED')
}

const mostFindings = 100

/** As the control plane is told. */
function refusalOf(problem: {
  code: ReportedRefusal['code']
  message: string
  findings: readonly Finding[]
}): ReportedRefusal {
  return {
    ...problem,
    findings: problem.findings.slice(0, mostFindings).map(({ code, severity, path, message, hint }) => ({
      code,
      severity,
      path: path.slice(0, 1024),
      message: message.slice(0, 2048),
      ...(hint !== undefined && { hint: hint.slice(0, 2048) }),
    })),
  }
}

async function registrationOf(file: string | undefined, io: CliIo): Promise<Registration | undefined> {
  try {
    return file === undefined ? registrationOfEnvironment(io.env) : await readRegistration(file)
  } catch (error) {
    if (error instanceof RegistrationError) throw new CommandError(error.message)
    throw error
  }
}

async function openAgent(options: Parameters<typeof SyncAgent.open>[0], folder: string): Promise<SyncAgent> {
  try {
    return await SyncAgent.open(options)
  } catch (error) {
    throw new CommandError(
      `what this gateway knows of its control plane is refused: ${(error as Error).message}. ` +
        `If that is no attack, delete ${join(folder, 'seen')} and ${join(folder, 'configuration')}; the gateway then takes any version that the control plane signs.`,
    )
  }
}

async function firstConfiguration(
  agent: SyncAgent,
  registration: Registration,
  file: string | undefined,
): Promise<Candidate> {
  try {
    return await agent.first()
  } catch (error) {
    await agent.stop()
    const { validToDate } = certificateOf(registration)
    const hasExpired = validToDate.getTime() <= Date.now()
    const way = hasExpired
      ? `The certificate of the registration expired at ${instant(validToDate.getTime() / 1000)}: renew it with ` +
        `\`sluice registration renew --client-id=ID --client-secret=SECRET --output-directory=new ${file ?? 'registration.yaml'}\`, put new/registration.yaml in its place, and start again.`
      : 'This gateway has no configuration from an earlier start, so it needs its control plane once. Check that it runs, that this machine reaches it, and that the registration is its own.'
    throw new CommandError(`there is no configuration to start with: ${(error as Error).message}\n${way}`)
  }
}
