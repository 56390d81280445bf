import type { CommandIndex } from './command.ts'

/** Every command, in the order help lists them. */
export const commands: CommandIndex = {
  start: () => import('./start.ts'),
  validate: () => import('./validate.ts'),
  explain: () => import('./explain.ts'),
  routes: () => import('./routes.ts'),
  diff: () => import('./diff.ts'),
  convert: () => import('./convert.ts'),
  policy: () => import('./policy.ts'),
  bench: () => import('./bench.ts'),
  register: () => import('./register.ts'),
  registration: () => import('./registration.ts'),
  status: () => import('./status.ts'),
  top: () => import('./top.ts'),
  'control-plane': () => import('./control-plane.ts'),
  healthcheck: () => import('./healthcheck.ts'),
  version: () => import('./version.ts'),
}
