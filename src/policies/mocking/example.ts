/** Values made up from the part of JSON Schema that APISIX's `mocking` reads. */

export interface Example {
  type?: string
  example?: unknown
  items?: Example
  properties?: Readonly<Record<string, Example>>
}

const deepest = 32
const kinds = ['array', 'object', 'string', 'number', 'integer', 'boolean']

/** What is wrong with a schema, in one sentence. */
export function exampleProblem(schema: Example, place = 'response_schema', depth = 0): string | undefined {
  if (depth > deepest) return `response_schema is more than ${deepest} levels deep`
  const { properties = {}, items } = schema
  if (!isMap(properties)) return `${place}.properties is no map`
  for (const [name, value] of Object.entries(properties)) {
    const problem = memberProblem(value, `${place}.properties.${name}`, depth + 1)
    if (problem !== undefined) return problem
  }
  return items === undefined ? undefined : memberProblem(items, `${place}.items`, depth + 1)
}

function memberProblem(value: Example, place: string, depth: number): string | undefined {
  if (!isMap(value)) return `${place} is no schema`
  if (typeof value.type !== 'string' || !kinds.includes(value.type.toLowerCase())) {
    return `${place}.type is none of ${kinds.join(', ')}`
  }
  return exampleProblem(value, place, depth)
}

function isMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A value that fits; `example` where it has the type that is asked for. */
export function exampleOf({ type = '', example, items, properties = {} }: Example): unknown {
  switch (type.toLowerCase()) {
    case 'object':
      return Object.fromEntries(
        Object.entries(properties).flatMap(([name, value]) => {
          const made = exampleOf(value)
          return made === undefined ? [] : [[name, made]]
        }),
      )
    case 'array':
      return items && Array.from({ length: between(1, 3) }, () => exampleOf(items))
    case 'string':
      return typeof example === 'string' ? example : letters(between(1, 10))
    case 'number':
      return typeof example === 'number' ? example : Math.random() * 10_000
    case 'integer':
      return typeof example === 'number' ? Math.floor(example) : between(1, 10_000)
    case 'boolean':
      return typeof example === 'boolean' ? example : Math.random() < 0.5
    default:
      return undefined
  }
}

function between(least: number, most: number): number {
  return least + Math.floor(Math.random() * (most - least + 1))
}

function letters(count: number): string {
  return Array.from({ length: count }, () => String.fromCharCode(between(97, 122))).join('')
}
