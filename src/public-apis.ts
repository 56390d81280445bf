/** What the gateway shows of itself through the policy `public-api`, by path. */
import type { Settings } from './config/settings.ts'

/** Below it, strategy, route and key of what is to be forgotten. */
const cachePurges = '/apisix/plugin/graphql-proxy-cache/'

const statusPath = '/apisix/status'

type SettingsOfPaths = Pick<Settings, 'prometheus' | 'batch_requests'>

/** @returns the name of a policy, or `metrics`, which is nobody's; undefined: nothing stands there */
export function publicApiAt(path: string, settings: SettingsOfPaths): string | undefined {
  if (path === settings.prometheus.path) return 'metrics'
  if (path === statusPath) return 'node-status'
  if (path === settings.batch_requests.path) return 'batch-requests'
  return path.startsWith(cachePurges) ? 'graphql-proxy-cache' : undefined
}
