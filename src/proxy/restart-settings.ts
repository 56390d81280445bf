/** Settings that take effect only at a start: what is built from them lives as long as the process. */
import { isDeepStrictEqual } from 'node:util'
import type { Settings } from '../config/settings.ts'

const startOnly = [
  'workers',
  'router',
  'control',
  'metrics',
  'prometheus',
  'batch_requests',
  'status',
  'admin',
  'data_dir',
  'cache',
  'health_checks',
  'sync',
] as const satisfies (keyof Settings)[]

/** `wanted` as far as it can be had without a restart, and the names of the settings that need one. */
export function liveSettings(
  current: Settings,
  wanted: Settings,
): { settings: Settings; needRestart: string[] } {
  const needRestart = startOnly.filter((name) => !isDeepStrictEqual(current[name], wanted[name]))
  const kept = Object.fromEntries(startOnly.map((name) => [name, current[name]])) as Pick<
    Settings,
    (typeof startOnly)[number]
  >
  return { settings: { ...wanted, ...kept }, needRestart }
}
