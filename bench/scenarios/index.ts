import type { Scenario } from '../bench.ts'
import { admin } from './admin.ts'
import { comparisons } from './comparisons.ts'
import { fleet } from './fleet.ts'
import { floods } from './floods.ts'
import { health } from './health.ts'
import { memory } from './memory.ts'
import { reload } from './reload.ts'
import { sockets } from './sockets.ts'

/** Every scenario, in the order of the report. */
export const scenarios: readonly Scenario[] = [
  ...comparisons,
  reload,
  memory,
  sockets,
  floods,
  health,
  admin,
  fleet,
]
