/** Where answers are stored: the zones that policies name in their configuration. */

export interface CacheZone {
  name: string
  /** Bytes of stored answers. */
  size: number
  /** The folder of a zone on disk; absent: it is in memory. */
  path?: string
  /** How the files of a zone on disk are spread over folders. */
  levels: number[]
}

/** As APISIX has them. */
export const defaultZones = [
  { name: 'disk_cache_one', size: '1GiB', path: '/tmp/disk_cache_one', levels: '1:2' },
  { name: 'disk_cache_two', size: '1GiB', path: '/tmp/disk_cache_two', levels: '1:2' },
  { name: 'memory_cache', size: '50MiB' },
]

/** Where each zone is, by its name; `elsewhere`: that is decided on another machine. */
export type ZonePlaces = Pick<ReadonlyMap<string, 'memory' | 'disk' | 'elsewhere'>, 'get'>

/** For whoever checks what others run: zones belong to each gateway's own settings. */
export const zonesElsewhere: ZonePlaces = { get: () => 'elsewhere' }

export const zonePlaces = (zones: readonly Pick<CacheZone, 'name' | 'path'>[]): ZonePlaces =>
  new Map(zones.map(({ name, path }) => [name, path === undefined ? 'memory' : 'disk']))
