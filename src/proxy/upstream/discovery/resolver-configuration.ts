/** What a file like `/etc/resolv.conf` says: resolv.conf(5). */
export interface ResolverConfiguration {
  /** As `dns.setServers` takes them. */
  servers: readonly string[]
  /** Suffixes for names that are not complete. */
  search: readonly string[]
  /** A name with that many dots is tried as it is first. */
  ndots: number
}

/** The resolver of libc takes no more either. */
const mostDots = 15

export function readResolverConfiguration(text: string): ResolverConfiguration {
  const servers: string[] = []
  let search: string[] = []
  let ndots = 1
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/)
    switch (keyword) {
      case 'nameserver':
        if (values[0] !== undefined) servers.push(values[0].replace(/%.*/, ''))
        break
      case 'domain':
      case 'search':
        search = values
        break
      case 'options':
        for (const option of values) {
          const dots = /^ndots:(\d+)$/.exec(option)?.[1]
          if (dots !== undefined) ndots = Math.min(Number(dots), mostDots)
        }
    }
  }
  return { servers, search, ndots }
}

/** The complete names that a name may stand for, in the order in which they are tried. */
export function candidatesOf(name: string, { search, ndots }: ResolverConfiguration): string[] {
  if (name.endsWith('.')) return [name]
  const completed = search.map((suffix) => `${name}.${suffix}`)
  return name.split('.').length > ndots ? [name, ...completed] : [...completed, name]
}
