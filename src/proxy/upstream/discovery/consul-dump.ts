/** The file in which the nodes of Consul are kept, in the form of APISIX. */
import { readFileSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import type { ConsulSettings } from '../../../config/discovery.ts'
import type { Log } from '../../../telemetry/log.ts'
import type { DiscoveredNode } from './discovered-node.ts'

interface DumpFile {
  services: Record<string, DiscoveredNode[]>
  /** Seconds since the epoch. */
  last_update: number
  expire?: number
}

export class ConsulDump {
  readonly #settings: NonNullable<ConsulSettings['dump']>
  readonly #log: Log
  readonly #loaded: Map<string, DiscoveredNode[]>
  #writing: Promise<void> | undefined
  #next: DumpFile | undefined

  constructor(settings: NonNullable<ConsulSettings['dump']>, log: Log) {
    this.#settings = settings
    this.#log = log
    this.#loaded = new Map(settings.load_on_init ? Object.entries(this.#load()) : [])
  }

  /** What the file said at the start. */
  nodesOf(service: string): readonly DiscoveredNode[] | undefined {
    return this.#loaded.get(service)
  }

  /** Takes the place of what was written before. Several calls in a row are one file. */
  write(services: Record<string, DiscoveredNode[]>): void {
    const lastUpdate = Math.floor(Date.now() / 1000)
    this.#next = { services, last_update: lastUpdate, expire: this.#settings.expire }
    this.#writing ??= this.#writeAll()
  }

  async #writeAll(): Promise<void> {
    const { path } = this.#settings
    while (this.#next !== undefined) {
      const text = JSON.stringify(this.#next)
      this.#next = undefined
      try {
        await writeFile(`${path}.new`, text, { mode: 0o600 })
        await rename(`${path}.new`, path)
      } catch (error) {
        this.#log.error({ path, code: (error as NodeJS.ErrnoException).code }, 'the dump cannot be written')
      }
    }
    this.#writing = undefined
  }

  #load(): Record<string, DiscoveredNode[]> {
    const { path, expire } = this.#settings
    let file: DumpFile
    try {
      file = JSON.parse(readFileSync(path, 'utf8'))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOENT') this.#log.warn({ path, code: code ?? 'not JSON' }, 'the dump cannot be read')
      return {}
    }
    if (!isDump(file)) {
      this.#log.warn({ path }, 'the dump is none of Consul, it is not used')
      return {}
    }
    if (expire !== 0 && file.last_update + expire < Date.now() / 1000) {
      this.#log.warn({ path, lastUpdate: file.last_update }, 'the dump has expired, it is not used')
      return {}
    }
    return file.services
  }
}

function isDump(file: Partial<DumpFile> | null): file is DumpFile {
  const { services, last_update: lastUpdate } = file ?? {}
  if (typeof services !== 'object' || services === null || typeof lastUpdate !== 'number') return false
  return Object.values(services).every((nodes) => Array.isArray(nodes) && nodes.every(isNode))
}

function isNode(node: Partial<DiscoveredNode> | null): boolean {
  const { host, port, weight } = node ?? {}
  return typeof host === 'string' && Number.isInteger(port) && Number.isInteger(weight)
}
