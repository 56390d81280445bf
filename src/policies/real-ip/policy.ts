import { isIP, isIPv6 } from 'node:net'
import { AddressSet, addressProblem, definePolicy, type Exchange, openInApisix, Type } from '../kit/index.ts'

/** The pattern and formats with which APISIX tells addresses and blocks from other texts. */
const addressOrBlock = {
  anyOf: [
    { type: 'string', format: 'ipv4' },
    {
      type: 'string',
      pattern:
        '^(?:[01]?\\d?\\d|2[0-4]\\d|25[0-5])(?:\\.(?:[01]?\\d?\\d|2[0-4]\\d|25[0-5])){3}/([12]?[0-9]|3[0-2])$',
    },
    { type: 'string', format: 'ipv6' },
    { type: 'string', pattern: '^(?=[0-9a-fA-F]{0,4}:)[0-9a-fA-F:.]{2,}/[0-9]{1,3}$' },
  ],
}

/** Who the client is, by what a proxy in front says; configuration and behaviour of APISIX's `real-ip`. */
export default definePolicy({
  name: 'real-ip',
  summary: 'Takes the address of the client from a variable, such as a field that a proxy in front sends.',
  details:
    'With `http_x_forwarded_for` the last address of the list counts, or with `recursive` the last one that is not ' +
    'trusted. A value that is no address changes nothing. Without `trusted_addresses` every peer is believed, so that a ' +
    'client can say that it is anybody; name them wherever clients reach the gateway directly.',
  stage: 'transform',
  priority: 23_000,
  config: Type.Object(
    {
      source: Type.String({
        minLength: 1,
        description: 'Variable that holds the address, with or without a port.',
      }),
      trusted_addresses: Type.Optional(
        Type.Array(Type.Unsafe<string>(addressOrBlock), {
          minItems: 1,
          description: 'Peers that are believed, by address and CIDR block; absent: all.',
        }),
      ),
      recursive: Type.Boolean({
        default: false,
        description: 'Pass over trusted addresses at the end of `http_x_forwarded_for`.',
      }),
    },
    openInApisix,
  ),
  validate({ trusted_addresses: trusted = [] }) {
    const wrong = trusted.find((entry) => addressProblem(entry) !== undefined)
    return wrong === undefined ? undefined : `invalid ip address: ${wrong}`
  },
  create({ source, trusted_addresses: entries, recursive }, host) {
    const trusted = entries && new AddressSet(entries)
    const variable = host.variable(source)

    function addressOf(exchange: Exchange): string | undefined {
      if (source !== 'http_x_forwarded_for') return variable(exchange)
      const list = exchange.request.headers.getAll('x-forwarded-for')?.split(',')
      if (list === undefined || trusted === undefined || !recursive) return list?.at(-1)?.trim()
      const last = list.findLastIndex((address) => !trusted.has(readAddress(address.trim())?.address ?? ''))
      return list[Math.max(0, last)]?.trim()
    }

    return {
      request(exchange) {
        const { client } = exchange
        // The fields of a subrequest are its client's own, whoever delivered the request that it came out of.
        if (trusted && (client.isSubrequest || !trusted.has(client.peerAddress))) return
        const found = readAddress(addressOf(exchange) ?? '')
        if (found !== undefined) exchange.setClientAddress(found.address, found.port)
      },
    }
  },
})

interface Found {
  readonly address: string
  /** Undefined: none was said. */
  readonly port: number | undefined
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`. */
function readAddress(text: string): Found | undefined {
  if (isIPv6(text) && !text.includes('%')) return { address: text, port: undefined }
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text)
  if (match === null) return undefined
  const [, bracketed, plain = '', digits] = match
  const address = bracketed ?? plain
  if (isIP(address) !== (bracketed === undefined ? 4 : 6) || address.includes('%')) return undefined
  const port = digits === undefined ? undefined : Number(digits)
  return port !== undefined && (port < 1 || port > 65_535) ? undefined : { address, port }
}
