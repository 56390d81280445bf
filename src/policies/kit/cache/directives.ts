/** `Cache-Control` as requests and answers have it (RFC 9111 5.2). */

/** Directives by name in lower case; what stands behind the equals sign, empty when nothing does. */
export type Directives = ReadonlyMap<string, string>

const none: Directives = new Map()
const directive = /\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^,"\s]*)))?[^,]*(?:,|$)/gy

export function parseDirectives(value: string | undefined): Directives {
  if (value === undefined || value === '') return none
  const found = new Map<string, string>()
  directive.lastIndex = 0
  for (let at = 0; at < value.length; ) {
    directive.lastIndex = at
    const match = directive.exec(value)
    if (match === null) {
      const comma = value.indexOf(',', at)
      if (comma === -1) break
      at = comma + 1
      continue
    }
    at = directive.lastIndex
    const name = match[1]!.toLowerCase()
    const argument = match[2] ?? match[3] ?? ''
    const before = found.get(name)
    // Of two that say different times, the shorter one counts.
    if (before === undefined || seconds(argument) < seconds(before)) found.set(name, argument)
  }
  return found
}

/** Longest time that is told apart from forever. */
const longest = 2 ** 31

/** Delta-seconds (RFC 9111 1.2.2); what is none is no time at all. */
export function seconds(argument: string): number {
  return /^\d+$/.test(argument) ? Math.min(Number(argument), longest) : 0
}

/** The seconds that a directive says; undefined: it is not there. */
export function secondsOf(directives: Directives, name: string): number | undefined {
  const argument = directives.get(name)
  return argument === undefined ? undefined : seconds(argument)
}
