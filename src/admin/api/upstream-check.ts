/** An upstream beyond its schema, in the order and with the words of APISIX. */
import { isIPv6 } from 'node:net'
import { hashKeySchemas } from '../../config/apisix-schema.ts'
import { apisixError } from '../../config/apisix-wording.ts'
import { pairError } from '../../config/certificate.ts'
import type { Inputs } from '../../config/declarations.ts'
import { upstreamSchema } from '../../config/resources.ts'
import { absentInApisix } from '../../config/sni-resources.ts'
import type { Surroundings } from './resource-check.ts'
import { schemaError } from './wording.ts'

/** Undefined: nothing is wrong, and the defaults are filled in, in place. */
export function upstreamError(upstream: unknown, around: Surroundings): string | undefined {
  if (upstream === undefined) return undefined
  const fault = addressError(upstream) ?? schemaError(upstreamSchema, upstream)
  if (fault !== undefined) return `invalid configuration: ${fault}`
  const { nodes, pass_host: passHost, upstream_host: host, type } = upstream as Inputs['upstreams']
  if (typeof nodes === 'object' && !Array.isArray(nodes)) {
    for (const address of Object.keys(nodes)) {
      const port = /:(\d+)$/.exec(address)?.[1]
      if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return `invalid port ${port}`
    }
  }
  const certificateFault = certificateError(upstream as Inputs['upstreams'], around)
  if (certificateFault !== undefined) return certificateFault
  if (passHost === 'rewrite' && (host === undefined || host === '')) {
    return "`upstream_host` can't be empty when `pass_host` is `rewrite`"
  }
  const { client_cert: cert, client_key: key } = (upstream as Inputs['upstreams']).tls ?? {}
  const pairFault = pairError(cert, key)
  if (pairFault !== undefined) return pairFault
  return type === 'chash' ? hashKeyError(upstream as Inputs['upstreams']) : undefined
}

/** The certificate that is shown to the nodes is one for clients; what API7 refers to is there. */
function certificateError(
  { tls, client_certificate: shown, ca_certificates: authorities = [] }: Inputs['upstreams'],
  { certificate: find, kept }: Surroundings,
): string | undefined {
  if (shown !== undefined && kept('certificates', String(shown)) === undefined) {
    return absentInApisix('certificates', shown)
  }
  const absent = authorities.find((id) => kept('ca_certificates', id) === undefined)
  if (absent !== undefined) return absentInApisix('ca_certificates', absent)
  const id = tls?.client_cert_id
  if (id === undefined) return undefined
  const certificate = find(String(id))
  if (certificate === undefined) return `failed to fetch ssl info by ssl id [${id}], response code: 404`
  return certificate.type === 'client'
    ? undefined
    : `failed to fetch ssl info by ssl id [${id}], wrong ssl type`
}

/** Files may hold such an address: only a text with a port needs the brackets. */
function addressError(upstream: unknown): string | undefined {
  const { nodes } = upstream as { nodes?: unknown }
  const isBare = (node: { host?: unknown } | null) => typeof node?.host === 'string' && isIPv6(node.host)
  if (!Array.isArray(nodes) || !nodes.some(isBare)) return undefined
  return "IPv6 address must be enclosed with '[' and ']'"
}

function hashKeyError({ hash_on: hashOn = 'vars', key }: Inputs['upstreams']): string | undefined {
  if (hashOn === 'consumer') return undefined
  if (key === undefined) return 'missing key'
  const schema = hashKeySchemas[hashOn]
  const fault = schema && apisixError(schema, key)
  return fault && `invalid configuration: ${fault}`
}
