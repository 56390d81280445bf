import { createHash } from 'node:crypto'
import type { Exchange } from '../../../proxy/exchange.ts'
import type { PolicyHost } from '../host.ts'

/** `constant` is the text itself, without variables. */
export type KeyType = 'var' | 'var_combination' | 'constant'

/** What requests are counted by; a caller without that value is counted by address. */
export function compileKey(
  type: KeyType,
  text: string,
  host: Pick<PolicyHost, 'variable'>,
): (exchange: Exchange) => string {
  if (type === 'constant') return () => text
  const value = type === 'var' ? host.variable(text) : compileCombination(text, host)
  return (exchange) => value(exchange) ?? exchange.client.address
}

const reference = /(?<!\\)\$(?:\{\s*([^}]+?)\s*\}|([\w.]+))/g

/** The text with its variables, or their stand-ins, filled in; undefined when not one of them is there. */
export function compileCombination(
  text: string,
  host: Pick<PolicyHost, 'variable'>,
): (exchange: Exchange) => string | undefined {
  const parts: (string | ((exchange: Exchange) => string | undefined))[] = []
  let end = 0
  for (const match of text.matchAll(reference)) {
    const [name = '', standIn] = (match[1] ?? match[2]!).split(/\s*\?\?\s*/)
    const variable = host.variable(name)
    parts.push(text.slice(end, match.index), (exchange) => variable(exchange) ?? standIn)
    end = match.index + match[0].length
  }
  parts.push(text.slice(end))
  return (exchange) => {
    let key = ''
    let resolved = false
    for (const part of parts) {
      if (typeof part === 'string') {
        key += part
        continue
      }
      const value = part(exchange)
      if (value === undefined) continue
      key += value
      resolved = true
    }
    return resolved ? key : undefined
  }
}

/**
 * What the keys of a binding begin with. Counters belong to the resource that holds the policy and to the settings of
 * the policy: other changes of the resource leave them alone.
 */
export function counterPrefix(
  name: string,
  owner: string,
  config: Readonly<Record<string, unknown>>,
): string {
  const settings = Object.entries(config).filter(([field]) => field !== '_meta')
  settings.sort(([a], [b]) => (a < b ? -1 : 1))
  const version = createHash('sha256').update(JSON.stringify(settings)).digest('base64url').slice(0, 12)
  return `${name}:${owner}:${version}:`
}
