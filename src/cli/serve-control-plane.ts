/** What `sluice control-plane` does once it knows its arguments; apart, because loading all this takes a while. */
import { type RunningControlPlane, type RunningOptions, runControlPlane } from '../control-plane/index.ts'
import { catalogue, policySchemas } from '../policies/index.ts'
import { PreparationThread } from '../preparation-threads.ts'
import { createLog } from '../telemetry/log.ts'
import { version } from '../version.ts'
import { type CliIo, exitCode } from './command.ts'
import { watchSignals } from './signals.ts'

export type ServedControlPlane = Omit<RunningOptions, 'catalogue' | 'preparation' | 'log' | 'version'>

/** Resolves when it takes requests, and has said where. */
export async function startControlPlane(
  io: CliIo,
  options: ServedControlPlane,
): Promise<RunningControlPlane> {
  const running = await runControlPlane({
    ...options,
    catalogue: policySchemas(catalogue),
    preparation: new PreparationThread(),
    log: createLog('info'),
    version,
  })
  io.stdout.write(banner(running, options.data))
  return running
}

/** Runs until a signal ends it. */
export async function serveControlPlane(io: CliIo, options: ServedControlPlane): Promise<number> {
  const signals = watchSignals({ reload() {}, reopenLogs() {} })
  try {
    const running = await startControlPlane(io, options)
    await signals.stop
    await running.close()
    return exitCode.ok
  } finally {
    signals.close()
  }
}

function banner({ platform, sync, first }: RunningControlPlane, data: string): string {
  const lines = [
    `sluice ${version} control plane`,
    `  APIs       ${platform}   (authority: ${data}/ca.pem)`,
    `  Admin API  ${platform}/apisix/admin`,
    `  gateways   ${sync}`,
  ]
  if (first !== undefined) {
    lines.push(
      '',
      'This is shown once, and kept nowhere:',
      `  admin key               ${first.adminKey}`,
      `  root key's passphrase   ${first.rootPassphrase}`,
      '',
      'Register a gateway within 24 hours:',
      `  ${first.registerCommand}`,
    )
  }
  return `${lines.join('\n')}\n`
}
