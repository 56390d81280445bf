/** Every operation of the control plane but those of the Admin API. */
import type { Operation } from '../operation.ts'
import { accountOperations } from './accounts.ts'
import { fleetOperations } from './fleet.ts'
import { gatewayManagerOperations } from './gateway-manager.ts'
import { groupOperations } from './groups.ts'
import { installOperations } from './install.ts'
import { syncOperations } from './sync.ts'
import { telemetryOperations } from './telemetry.ts'
import { versionOperations } from './versions.ts'

export const operations: readonly Operation[] = [
  ...syncOperations,
  ...telemetryOperations,
  ...accountOperations,
  ...groupOperations,
  ...versionOperations,
  ...fleetOperations,
  ...installOperations,
  ...gatewayManagerOperations,
]
