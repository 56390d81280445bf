/** Requests -> methods and values by `google.api.http`. */
import type { HttpRule, ProtoMethodDefinition } from '../kit/index.ts'

/** A method that a request is for, and what its path says. */
export interface BoundMethod {
  readonly method: ProtoMethodDefinition
  /** Absent: the message is made of path and query alone. */
  readonly body?: string
  readonly responseBody?: string
  /** Texts by their field, `user.name` for one in another message. */
  readonly path: readonly (readonly [field: string, value: string])[]
}

type Segment = string | typeof one | typeof rest
const one = Symbol('one segment')
const rest = Symbol('all further segments')

interface Variable {
  readonly field: string
  readonly from: number
  /** Behind the last segment; 0: it goes on to the end. */
  readonly to: number
}

interface Binding {
  readonly method: ProtoMethodDefinition
  readonly rule: HttpRule
  readonly segments: readonly Segment[]
  /** Behind a colon; empty: none. */
  readonly verb: string
  readonly variables: readonly Variable[]
}

export class HttpBindings {
  readonly #bindings: readonly Binding[]

  constructor(methods: readonly ProtoMethodDefinition[]) {
    const bindings = methods.flatMap((method) =>
      (method.http ?? []).flatMap((rule) => bindingOf(method, rule) ?? []),
    )
    this.#bindings = bindings.sort(moreExactFirst)
  }

  /** @param path percent-encoded @returns undefined: it is for none */
  find(httpMethod: string, path: string): BoundMethod | undefined {
    for (const binding of this.#bindings) {
      const { method, rule } = binding
      if (rule.method !== '*' && rule.method !== httpMethod) continue
      const values = match(binding, path)
      if (values === undefined) continue
      const { body, response_body: responseBody } = rule
      return {
        method,
        ...(body !== undefined && { body }),
        ...(responseBody !== undefined && { responseBody }),
        path: values,
      }
    }
    return undefined
  }
}

/** Undefined: the template is none. */
function bindingOf(method: ProtoMethodDefinition, rule: HttpRule): Binding | undefined {
  const template = /^\/(.*?)(?::([^/{}]+))?$/s.exec(rule.path)
  if (template === null) return undefined
  const segments: Segment[] = []
  const variables: Variable[] = []
  const parts = template[1]!.match(/\{[^{}]*\}|[^/{}]+/g) ?? []
  for (const part of parts) {
    const variable = /^\{([\w.]+)(?:=(.+))?\}$/.exec(part)
    if (variable === null && part.startsWith('{')) return undefined
    const from = segments.length
    for (const segment of (variable === null ? part : (variable[2] ?? '*')).split('/')) {
      segments.push(segment === '*' ? one : segment === '**' ? rest : segment)
    }
    if (variable === null) continue
    variables.push({ field: variable[1]!, from, to: segments.at(-1) === rest ? 0 : segments.length })
  }
  return { method, rule, segments, verb: template[2] ?? '', variables }
}

/** Literal segments before any one, and that before all that follow. */
function moreExactFirst(a: Binding, b: Binding): number {
  const length = Math.max(a.segments.length, b.segments.length)
  for (let at = 0; at < length; at++) {
    const difference = rank(a.segments[at]) - rank(b.segments[at])
    if (difference !== 0) return difference
  }
  return b.verb.length - a.verb.length
}

const rank = (segment: Segment | undefined) =>
  segment === rest ? 3 : segment === one ? 2 : segment === undefined ? 1 : 0

function match({ segments, verb, variables }: Binding, path: string): [string, string][] | undefined {
  const end = verb === '' ? '' : `:${verb}`
  if (!path.endsWith(end)) return undefined
  const given = path.slice(1, path.length - end.length).split('/')
  if (segments.at(-1) === rest ? given.length < segments.length - 1 : given.length !== segments.length)
    return undefined
  for (const [at, segment] of segments.entries()) {
    if (segment === rest) break
    if (segment === one ? given[at] === '' : segment !== given[at]) return undefined
  }
  return variables.map(({ field, from, to }) => {
    const values = given.slice(from, to === 0 ? given.length : to)
    // Of one segment everything is decoded; of several, a slash that stood inside of one stays encoded.
    return [field, values.map((value) => decoded(value, values.length > 1)).join('/')]
  })
}

function decoded(segment: string, keepsSlashes: boolean): string {
  const text = keepsSlashes ? segment.replace(/%2f/gi, '%252F') : segment
  try {
    return decodeURIComponent(text)
  } catch {
    return segment
  }
}
