/** A discovery with one registry, and what it says about services. */
import { once } from 'node:events'
import type { RegistrySettings } from '../../src/config/discovery.ts'
import type { DiscoverySpec } from '../../src/config/plan.ts'
import type { DiscoveredNode } from '../../src/proxy/upstream/discovery/discovered-node.ts'
import { Discovery } from '../../src/proxy/upstream/discovery/discovery.ts'

interface LogLine {
  level: string
  fields: Record<string, unknown>
  message: string
}

interface Closer {
  after(close: () => void): void
}

/** Short waits, so that tests see several tries. */
const impatient = {
  dns: { min_ttl: 20, max_ttl: 60_000, timeout: 5000 },
  backoff: { first: 5, longest: 20 },
}

export function watchNodes(
  t: Closer,
  settings: RegistrySettings | readonly RegistrySettings[],
  options: Partial<typeof impatient> = {},
) {
  const lines: LogLine[] = []
  const write = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, fields: { ...fields }, message })
  const log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const discovery = new Discovery({ log, ...impatient, ...options })
  t.after(() => discovery.close())
  const registries = [settings].flat()
  const changes: string[] = []
  const changed = new EventTarget()
  discovery.onChange((service, nodes) => {
    changes.push(`${JSON.parse(service)[1]}: ${nodes === null ? 'forgotten' : nodes.map(written).join(' ')}`)
    changed.dispatchEvent(new Event('change'))
  })
  let wanted = registries
  return {
    discovery,
    lines,
    /** `NAME: host:port*weight ...` of every change. */
    changes,
    /** Follows these services and no others; resolves as `Discovery.watch` does. */
    async watch(services: readonly (string | Partial<DiscoverySpec>)[], timeout = 5000) {
      const specs = services.map((service) => specOf(registries[0]!.type, service))
      await discovery.watch(wanted, new Map(specs.map((spec) => [spec.key, spec])), timeout)
    },
    /** From the next `watch` on. */
    reconfigure(next: readonly RegistrySettings[]) {
      wanted = [...next]
    },
    /** The nodes of a service as text; undefined: nothing is known. */
    nodes(service: string): string | undefined {
      const found = discovery.nodes().find(([key]) => JSON.parse(key)[1] === service)
      return found?.[1].map(written).join(' ')
    },
    /** Resolves when there were that many changes in all. */
    async changesReach(count: number) {
      while (changes.length < count) await once(changed, 'change')
    },
    /** Resolves when the nodes of a service are these. */
    async becomes(service: string, nodes: string) {
      while (this.nodes(service) !== nodes) await once(changed, 'change')
    },
  }
}

function specOf(type: string, service: string | Partial<DiscoverySpec>): DiscoverySpec {
  const given = typeof service === 'string' ? { service_name: service } : service
  const spec = { type, service_name: '', grpc: false, ...given }
  return { ...spec, key: JSON.stringify([spec.type, spec.service_name, spec]) }
}

/** `host:port*weight`, with `@priority` behind it unless that is 0. */
function written({ host, port, weight, priority }: DiscoveredNode): string {
  return `${host}:${port ?? ''}*${weight}${priority === undefined ? '' : `@${priority}`}`
}
