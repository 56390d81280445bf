import { Type } from '../../../config/type.ts'
import type { Exchange } from '../../../proxy/exchange.ts'
import type { PolicyHost } from '../host.ts'

/** A setting that is a number, or a text with variables that becomes one. */
export function quantity(description: string, range: { minimum: number } | { exclusiveMinimum: number }) {
  return Type.Union([Type.Integer(range), Type.String({ minLength: 1 })], {
    description,
    'x-apisix': { anyOf: undefined, oneOf: [{ type: 'integer', ...range }, { type: 'string' }] },
  })
}

/** What is wrong with a text that has no variables, and so is the same number for every request; undefined: nothing. */
export function quantityFinding(
  name: string,
  value: number | string | undefined,
  least = 1,
): string | undefined {
  if (typeof value !== 'string' || value.includes('$') || isQuantity(Number(value), least)) return undefined
  return `'${name}' must be a whole number from ${least} on, or a text with variables`
}

/** A whole number from `least` on that doubles hold exactly; what is none becomes NaN. */
export function compileQuantity(
  value: number | string,
  host: Pick<PolicyHost, 'template'>,
  least = 1,
): (exchange: Exchange) => number {
  if (typeof value === 'number') return () => value
  const text = host.template(value)
  return (exchange) => {
    const found = text(exchange)
    const number = found === '' ? Number.NaN : Number(found)
    return isQuantity(number, least) ? number : Number.NaN
  }
}

function isQuantity(number: number, least: number): boolean {
  return Number.isSafeInteger(number) && number >= least
}
