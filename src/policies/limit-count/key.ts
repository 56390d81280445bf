import type { Exchange, PolicyHost } from '../kit/index.ts'

export type KeyType = 'var' | 'var_combination' | 'constant'

/** What requests are counted by; a caller without that value is counted by address. */
export function compileKey(type: KeyType, text: string, host: PolicyHost): (exchange: Exchange) => string {
  if (type === 'constant') return () => text
  const value = type === 'var' ? host.variable(text) : combination(text, host)
  return (exchange) => value(exchange) ?? exchange.client.address
}

const reference = /(?<!\\)\$(?:\{\s*([^}]+?)\s*\}|([\w.]+))/g

/** The text with its variables filled in; undefined when not one of them is there. */
function combination(text: string, host: PolicyHost): (exchange: Exchange) => string | undefined {
  const parts: (string | ((exchange: Exchange) => string | undefined))[] = []
  let end = 0
  for (const match of text.matchAll(reference)) {
    parts.push(text.slice(end, match.index), host.variable(match[1] ?? match[2]!))
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
