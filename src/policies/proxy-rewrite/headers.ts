import {
  type Exchange,
  type ExchangeRequest,
  type HeaderName,
  headerName,
  type PolicyHost,
} from '../kit/index.ts'

type Value = string | number
type Values = Readonly<Record<string, Value | readonly Value[]>>

/** What is done to the fields of a request. */
export interface HeaderOperations {
  add?: Values
  set?: Values
  remove?: readonly string[]
}

export type Captures = readonly (string | undefined)[] | null

interface Operation {
  readonly name: HeaderName
  readonly values: readonly ((exchange: Exchange, captures: Captures) => string)[]
}

/** Adds, then sets, then removes, as APISIX does. */
export function compileHeaders(
  { add = {}, set = {}, remove = [] }: HeaderOperations,
  host: PolicyHost,
): (exchange: Exchange, captures: Captures) => void {
  const added = compile(add, host)
  const replaced = compile(set, host)
  const removed = remove.map((name) => headerName(name))
  return (exchange, captures) => {
    const { request } = exchange
    for (const { name, values } of added) {
      for (const value of values) addValue(request, name, value(exchange, captures))
    }
    for (const { name, values } of replaced) {
      if (name.lower === 'host') {
        request.setHost(values[0]?.(exchange, captures) ?? '')
        continue
      }
      request.headers.remove(name)
      for (const value of values) addValue(request, name, value(exchange, captures))
    }
    for (const name of removed) request.headers.remove(name)
  }
}

/** As in nginx, a field without a value is not sent. */
function addValue({ headers }: ExchangeRequest, name: HeaderName, value: string): void {
  if (value !== '') headers.add(name, value)
}

function compile(values: Values, host: PolicyHost): Operation[] {
  return Object.entries(values).map(([name, value]) => ({
    name: headerName(name),
    values: [value].flat().map((one) => compileValue(String(one), host)),
  }))
}

/** References to groups of `regex_uri` come before those to variables. */
function compileValue(text: string, host: PolicyHost): (exchange: Exchange, captures: Captures) => string {
  const group = /(?<!\\)\$\{?(\d+)\}?/g
  if (!group.test(text)) {
    const plain = host.template(text)
    return (exchange) => plain(exchange)
  }
  const pieces = text.split(/(?<!\\)\$\{?(\d+)\}?/)
  const parts = pieces.map((piece, index) => (index % 2 === 0 ? host.template(piece) : Number(piece)))
  return (exchange, captures) => {
    let filled = ''
    for (const part of parts) filled += typeof part === 'number' ? (captures?.[part] ?? '') : part(exchange)
    return filled
  }
}
