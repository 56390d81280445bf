import type { Exchange } from '../../proxy/exchange.ts'
import type { PolicyHost } from './host.ts'

/** A reference of APISIX: `$name`, `${name}`, `${ name ?? default }`. A backslash in front makes it plain text. */
const reference = /(?<!\\)\$(?:\{\s*([^}]+?)\s*\}|([\w.]+))/g

/**
 * Fills the references of a text, as APISIX's plugins do: what an exchange does not have becomes its default, else empty.
 * `change` is applied to every value that is filled in, together with the name of its variable.
 */
export function compileText(
  text: string,
  host: Pick<PolicyHost, 'variable'>,
  change: (value: string, name: string) => string = (value) => value,
): (exchange: Exchange) => string {
  const pieces: (string | ((exchange: Exchange) => string))[] = []
  const source = Buffer.from(text).toString('latin1')
  let copied = 0
  for (const match of source.matchAll(reference)) {
    if (match.index > copied) pieces.push(source.slice(copied, match.index))
    const [name = '', standIn = ''] = (match[1] ?? match[2]!).split(/\s*\?\?\s*/)
    const variable = host.variable(name)
    pieces.push((exchange) => change(variable(exchange) ?? standIn, name))
    copied = match.index + match[0].length
  }
  if (copied < source.length) pieces.push(source.slice(copied))
  if (pieces.every((piece) => typeof piece === 'string')) return () => source
  return (exchange) => {
    let filled = ''
    for (const piece of pieces) filled += typeof piece === 'string' ? piece : piece(exchange)
    return filled
  }
}
