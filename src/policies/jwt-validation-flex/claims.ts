import {
  type Expression,
  expressionIn,
  requestScope,
  textOrExpression,
  type Value,
  View,
} from '../kit/dataweave/index.ts'
import { type Exchange, isTimely } from '../kit/index.ts'

export type Claims = Readonly<Record<string, unknown>>

/** `vars` of expressions about a token. */
export class ClaimView extends View {
  readonly #claims: Claims

  constructor(claims: Claims) {
    super()
    this.#claims = claims
  }

  override get(key: string): Value {
    return key === 'claimSet' ? (this.#claims as Value) : null
  }

  override entries(): [string, Value][] {
    return [['claimSet', this.#claims as Value]]
  }
}

interface ClaimConfig {
  validateAudClaim: boolean
  mandatoryAudClaim: boolean
  audiences: readonly string[]
  mandatoryExpClaim: boolean
  mandatoryNbfClaim: boolean
  validateCustomClaim: boolean
  mandatoryCustomClaims: readonly CustomClaim[]
  nonMandatoryCustomClaims: readonly CustomClaim[]
}

interface CustomClaim {
  key: string
  value: string
}

interface Rule {
  readonly key: string
  readonly isMandatory: boolean
  /** Undefined: the claim has to be `text`. */
  readonly expression: Expression | undefined
  readonly text: string
}

/** @returns what is wrong with the claims of a token; undefined: nothing */
export function claimRules(
  config: ClaimConfig,
  vocabulary: Parameters<typeof textOrExpression>[1],
): (claims: Claims, exchange: Exchange, now: number) => string | undefined {
  const ruleOf =
    (isMandatory: boolean) =>
    ({ key, value }: CustomClaim): Rule => ({
      key,
      isMandatory,
      expression: expressionIn(value) === undefined ? undefined : textOrExpression(value, vocabulary),
      text: value,
    })
  const rules = config.validateCustomClaim
    ? [
        ...config.mandatoryCustomClaims.map(ruleOf(true)),
        ...config.nonMandatoryCustomClaims.map(ruleOf(false)),
      ]
    : []
  const audiences = new Set(config.audiences)
  return (claims, exchange, now) => {
    if (config.mandatoryExpClaim && claims.exp === undefined) return 'it has no end'
    if (config.mandatoryNbfClaim && claims.nbf === undefined) return 'it has no beginning'
    if (!isTimely(claims, [], 0, now / 1000)) return 'it is over, or not yet good'
    if (config.validateAudClaim) {
      const { aud } = claims
      if (
        aud === undefined ? config.mandatoryAudClaim : ![aud].flat().some((one) => audiences.has(String(one)))
      ) {
        return 'it is for another audience'
      }
    }
    const scope = rules.length > 0 ? requestScope(exchange, null, new ClaimView(claims)) : undefined
    for (const { key, isMandatory, expression, text } of rules) {
      const value = Object.hasOwn(claims, key) ? claims[key] : undefined
      if (value === undefined || value === null) {
        if (isMandatory) return `it has no claim ${key}`
        continue
      }
      if (expression === undefined ? String(value) !== text : !holds(expression, scope!)) {
        return `its claim ${key} is another`
      }
    }
    return undefined
  }
}

function holds(expression: Expression, scope: ReturnType<typeof requestScope>): boolean {
  try {
    return expression.isTrue(scope)
  } catch {
    return false
  }
}
