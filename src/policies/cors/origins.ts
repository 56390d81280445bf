/** What an `Origin` gets in return: the value of the answer's field, or undefined when it is not allowed. */
export type OriginRule = (origin: string | undefined) => string | undefined

/** `*`, `**` (any origin, named back), `null`, or origins between commas. */
export function originList(text: string): OriginRule {
  if (text === '*') return () => '*'
  if (text === '**') return (origin) => origin ?? '*'
  const allowed = new Set(text.split(','))
  return (origin) => (origin !== undefined && allowed.has(origin) ? origin : undefined)
}

/** Far above the longest real origin: a scheme, a host name of at most 253 characters and a port. */
const longestOrigin = 1024

/** Any of the expressions, found anywhere in the origin: anchoring them is up to the configuration. */
export function originPatterns(patterns: readonly string[]): OriginRule {
  const pattern = new RegExp(patterns.map((text) => `(?:${text})`).join('|'))
  return (origin) =>
    origin !== undefined && origin.length <= longestOrigin && pattern.test(origin) ? origin : undefined
}

/** The first rule that allows decides. */
export function anyOf(rules: readonly OriginRule[]): OriginRule {
  if (rules.length === 1) return rules[0]!
  return (origin) => {
    for (const rule of rules) {
      const allowed = rule(origin)
      if (allowed !== undefined) return allowed
    }
    return undefined
  }
}

/** Refuses the origin `null`, which any sandboxed frame can claim. */
export function exceptNull(rule: OriginRule): OriginRule {
  return (origin) => (origin === 'null' ? undefined : rule(origin))
}
