/** Lists of addresses as the Flex policies `ip-allowlist-flex` and `ip-blocklist-flex` have them. */
import { isIP } from 'node:net'
import { addressProblem } from '../../../config/addresses.ts'
import { Type } from '../../../config/type.ts'
import { AddressSet } from '../../../proxy/addresses.ts'
import type { Exchange } from '../../../proxy/exchange.ts'
import { expressionProblem, requestScope, textOrExpression, usualVocabulary } from '../dataweave/index.ts'

/** What both take when nothing else is said. Behind trusted proxies the client's address is known without it. */
const usualExpression = "#[attributes.headers['x-forwarded-for']]"

export const addressListConfig = Type.Object(
  {
    ips: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description: 'Addresses, CIDR blocks, or beginnings of IPv4 addresses such as `192.168`.',
    }),
    ipExpression: Type.String({
      default: usualExpression,
      description: 'DataWeave expression for the address of the client.',
    }),
  },
  { additionalProperties: false },
)

export const addressListDetails =
  'A rejection is 403 with `{"error":"..."}`.\n\nWith the default of `ipExpression` the address is that of the client ' +
  'behind trusted proxies (`gateway.trusted_addresses`): what anybody else says in `X-Forwarded-For` is not believed. Any ' +
  'other expression is taken at its word, up to its first comma; where it has no address, the client’s counts.'

interface AddressListConfig {
  ips: string[]
  ipExpression: string
}

export function addressListProblem({ ips, ipExpression }: AddressListConfig): string | undefined {
  for (const [index, text] of ips.entries()) {
    if (addressProblem(blockOf(text)) !== undefined)
      return `ips.${index}: ${text} is no address and no block of them`
  }
  const problem = expressionProblem(ipExpression, usualVocabulary)
  if (problem !== undefined) return `ipExpression: ${problem}`
  return textOrExpression(ipExpression).reads.payload
    ? 'ipExpression: the body is not read for it'
    : undefined
}

/** Whether the client of an exchange is on the list. */
export function addressList({ ips, ipExpression }: AddressListConfig): (exchange: Exchange) => boolean {
  const listed = new AddressSet(ips.map(blockOf))
  if (ipExpression === usualExpression) return ({ client }) => listed.has(client.address)
  const expression = textOrExpression(ipExpression)
  return (exchange) => {
    const said = expression.text(requestScope(exchange)).split(',', 1)[0]!.trim()
    return listed.has(isIP(said) === 0 ? exchange.client.address : said)
  }
}

/** `192.168` stands for 192.168.0.0/16. */
function blockOf(text: string): string {
  const parts = text.replace(/\.$/, '').split('.')
  if (parts.length > 3 || !parts.every((part) => /^\d{1,3}$/.test(part))) return text
  return `${[...parts, '0', '0', '0'].slice(0, 4).join('.')}/${parts.length * 8}`
}
