/** Why a route did not take a request, in sentences. */
import { AddressSet } from '../addresses.ts'
import type { Exchange } from '../exchange.ts'
import { whyNot } from '../expression-explanation.ts'
import type { Considered, Loss } from '../router/router.ts'
import type { Binding, Runtime } from '../runtime.ts'
import type { ExplainedCandidate } from './explanation.ts'

export function candidateOf(candidate: Considered<Binding>, exchange: Exchange): ExplainedCandidate {
  const { value, uri, host, priority, losses } = candidate
  const { id, name } = value.route
  return {
    route: { id, ...(name !== undefined && { name }) },
    path: uri,
    host,
    priority,
    why: losses.flatMap((loss) => sentences(loss, candidate, exchange)),
  }
}

function sentences(loss: Loss, { value, uri, host }: Considered<Binding>, exchange: Exchange): string[] {
  const { route } = value
  const { request, client } = exchange
  switch (loss) {
    case 'path':
      return [`path: ${request.path} does not fit ${uri}`]
    case 'method':
      return [`methods: it takes ${route.methods.join(', ')}, not ${request.method}`]
    case 'host': {
      const hosts = host === '' ? route.hosts.join(', ') : host
      return [
        `hosts: it takes ${hosts}, not ${request.host === '' ? 'a request without a host' : request.host}`,
      ]
    }
    case 'condition': {
      const { remote_addrs: addresses, vars = [] } = route
      const why = whyNot(vars, exchange).map((sentence) => `vars: ${sentence}`)
      if (addresses === undefined || new AddressSet(addresses).has(client.address)) return why
      return [`remote_addrs: ${client.address} is in none of ${addresses.join(', ')}`, ...why]
    }
  }
}

/** Small changes of a request that nothing took, with which a route would. */
export function nearMisses(exchange: Exchange, runtime: Runtime): string[] {
  const { path, method } = exchange.request
  const variants = [path.endsWith('/') ? path.slice(0, -1) : `${path}/`, path.toLowerCase()]
  const hints: string[] = []
  for (const variant of variants) {
    if (variant === path || variant === '') continue
    const found = runtime.match(exchange, variant)
    if (found !== null) hints.push(`the route ${found.routeId} takes ${variant} (${found.matchedUri})`)
  }
  const methods = runtime.allowedMethods(exchange)
  if (methods.length > 0) hints.push(`this path is taken with ${methods.join(', ')}, not with ${method}`)
  return hints
}
