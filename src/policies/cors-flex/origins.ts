/** Groups of origins, and the one that an origin belongs to. */

export interface GroupConfig {
  origins: string[]
  accessControlMaxAge: number
  allowedMethods: { methodName: string; isAllowed: boolean }[]
  methods: string[]
  headers: string[]
  exposedHeaders: string[]
}

export interface OriginGroup {
  /** It has the origin `*`. */
  readonly isForAll: boolean
  readonly methods: ReadonlySet<string>
  readonly methodsText: string
  readonly headersText: string
  readonly exposedText: string
  readonly maxAge: number
  /** Whether all names of a list with commas are allowed. */
  hasFields(list: string): boolean
}

export interface OriginGroups {
  readonly exact: ReadonlyMap<string, OriginGroup>
  /** The longest first. */
  readonly wild: readonly { readonly parts: readonly string[]; readonly group: OriginGroup }[]
}

export function originGroups(configs: readonly GroupConfig[]): OriginGroups {
  const exact = new Map<string, OriginGroup>()
  const wild: { parts: string[]; group: OriginGroup }[] = []
  for (const config of configs) {
    const group = groupOf(config)
    for (const origin of config.origins.map((text) => text.toLowerCase().replace(/\/$/, ''))) {
      if (origin.includes('*')) wild.push({ parts: origin.split('*'), group })
      else if (!exact.has(origin)) exact.set(origin, group)
    }
  }
  const lengthOf = ({ parts }: { parts: string[] }) => parts.join('').length
  return { exact, wild: wild.toSorted((a, b) => lengthOf(b) - lengthOf(a)) }
}

export function groupFor({ exact, wild }: OriginGroups, sent: string): OriginGroup | undefined {
  const origin = sent.toLowerCase()
  return exact.get(origin) ?? wild.find(({ parts }) => fits(origin, parts))?.group
}

/** `*` alone stands for anything, elsewhere for anything but a slash. */
function fits(origin: string, parts: readonly string[]): boolean {
  const [first = '', ...rest] = parts
  const last = rest.pop() ?? ''
  if (parts.every((part) => part === '')) return true
  if (origin.length < first.length + last.length || !origin.startsWith(first) || !origin.endsWith(last))
    return false
  let at = first.length
  const end = origin.length - last.length
  for (const part of rest) {
    const found = origin.indexOf(part, at)
    if (found < 0 || found + part.length > end || origin.slice(at, found).includes('/')) return false
    at = found + part.length
  }
  return !origin.slice(at, end).includes('/')
}

function groupOf(config: GroupConfig): OriginGroup {
  const { origins, accessControlMaxAge, allowedMethods, headers, exposedHeaders } = config
  const listed = allowedMethods.filter(({ isAllowed }) => isAllowed).map(({ methodName }) => methodName)
  const methods = new Set([...listed, ...config.methods].map((name) => name.toUpperCase()))
  const fields = new Set(headers.map((name) => name.toLowerCase()))
  return {
    isForAll: origins.includes('*'),
    methods,
    methodsText: [...methods].join(', '),
    headersText: headers.join(', '),
    exposedText: exposedHeaders.join(', '),
    maxAge: accessControlMaxAge,
    hasFields: (list) =>
      fields.has('*') ||
      list
        .split(',')
        .map((name) => name.trim().toLowerCase())
        .every((name) => name === '' || fields.has(name)),
  }
}
