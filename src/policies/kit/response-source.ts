/** Who made an answer, in the words of APISIX's metrics and traces. */
import type { Exchange } from '../../proxy/exchange.ts'

/** `nginx`: the gateway itself, because an upstream that it asked had no answer. */
export type ResponseSource = 'apisix' | 'upstream' | 'nginx'

export function responseSource({ response, upstream, rejectedBy }: Exchange): ResponseSource {
  if (response.fromUpstream) return 'upstream'
  return upstream !== null && rejectedBy === '' ? 'nginx' : 'apisix'
}
