import { type Exchange, type HeaderName, headerName, type PolicyHost } from '../kit/index.ts'

type Values = Readonly<Record<string, string | number>>

/** What is done to the fields of an answer. */
export interface HeaderOperations {
  /** Lines: `Set-Cookie: a=b`. */
  add?: readonly string[]
  set?: Values
  remove?: readonly string[]
}

type Field = readonly [name: HeaderName, value: (exchange: Exchange) => string]

/** Name and value of a line to add; undefined when it is none. */
export function splitLine(line: string): readonly [name: string, value: string] | undefined {
  const match = /^([^:\s]+)\s*:\s*([^:]+)$/.exec(line)
  return match === null ? undefined : [match[1]!, match[2]!]
}

/** Adds, then sets, then removes, as APISIX does. */
export function compileHeaders(
  { add = [], set = {}, remove = [] }: HeaderOperations,
  host: PolicyHost,
): (exchange: Exchange) => void {
  const field = (name: string, value: string): Field => [headerName(name), host.template(value)]
  const added = add.flatMap((line) => {
    const parts = splitLine(line)
    return parts === undefined ? [] : [field(...parts)]
  })
  const replaced = Object.entries(set).map(([name, value]) => field(name, String(value)))
  const removed = remove.map((name) => headerName(name))
  return (exchange) => {
    const { answer } = exchange
    for (const [name, value] of added) answer.add(name, value(exchange))
    for (const [name, value] of replaced) {
      const text = value(exchange)
      // As in nginx, a field without a value is not sent.
      if (text === '') answer.remove(name)
      else answer.set(name, text)
    }
    for (const name of removed) answer.remove(name)
  }
}
