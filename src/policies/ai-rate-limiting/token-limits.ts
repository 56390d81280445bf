/** Limits that a request is held to before anybody knows what it costs, and that are charged when it is known. */
import type { Exchange, LimitState, LimitWindow, PolicyHost, Verdict } from '../kit/index.ts'
import {
  compileCombination,
  compileQuantity,
  compileQuota,
  counterPrefix,
  type QuotaWriter,
  type RedisConfig,
  rejection,
  type SharedDecisions,
  setRetryAfter,
  sharedDecisions,
} from '../kit/limits/index.ts'

type Amount = number | string

export interface TokenSettings extends RedisConfig {
  readonly limit?: Amount
  readonly time_window?: Amount
  readonly instances?: readonly {
    readonly name: string
    readonly limit: Amount
    readonly time_window: Amount
  }[]
  readonly rules?: readonly {
    readonly count: Amount
    readonly time_window: Amount
    readonly key: string
    readonly header_prefix?: string
  }[]
  readonly show_limit_quota_header: boolean
  readonly rejected_code: number
  readonly rejected_msg?: string
  readonly allow_degradation: boolean
  readonly absent_store?: 'closed' | 'open' | 'local'
}

interface Rule {
  readonly limit: (exchange: Exchange) => number
  readonly seconds: (exchange: Exchange) => number
  /** Undefined: the rule does not apply. */
  readonly key: (exchange: Exchange) => string | undefined
  readonly tell: QuotaWriter | undefined
}

interface Found {
  readonly rule: Rule
  readonly key: string
  readonly window: LimitWindow
}

type Left = LimitState | 'closed' | 'open'

const uncounted: Verdict = { status: 500, body: { error_msg: 'failed to limit count' } }
const invalid: Verdict = { status: 500 }

export class TokenLimits {
  readonly #settings: TokenSettings
  readonly #host: PolicyHost
  readonly #prefix: string
  readonly #shared: SharedDecisions | undefined
  readonly #rejected: Verdict
  /** By instance; those of `rules` stand under an empty name. */
  readonly #rules = new Map<string, readonly Rule[]>()

  constructor(settings: TokenSettings, host: PolicyHost) {
    this.#settings = settings
    this.#host = host
    this.#prefix = counterPrefix(
      'ai-rate-limiting',
      host.binding.owner,
      settings as unknown as Record<string, unknown>,
    )
    this.#shared = sharedDecisions('ai-rate-limiting', settings, host)
    this.#rejected = rejection(settings)
  }

  /** Whether requests may go to that instance. */
  async hasRoom(exchange: Exchange, instance: string): Promise<boolean> {
    const found = this.#find(exchange, instance)
    if (found === invalid || !Array.isArray(found)) return true
    for (const one of found) {
      const left = await this.#look(one)
      if (typeof left === 'object' && left.remaining < 1) return false
    }
    return true
  }

  async judge(exchange: Exchange, instance: string): Promise<Verdict | undefined> {
    const found = this.#find(exchange, instance)
    if (!Array.isArray(found)) return found
    for (const one of found) {
      const left = await this.#look(one)
      if (left === 'closed') return uncounted
      if (left === 'open') continue
      const { limit, windowMs } = one.window
      one.rule.tell?.(exchange, limit, windowMs, left.remaining, left.resetMs)
      if (left.remaining >= 1) continue
      setRetryAfter(exchange, left.resetMs)
      return this.#rejected
    }
    return undefined
  }

  /** What there is no room for takes all that is left. */
  charge(exchange: Exchange, instance: string, cost: number): void {
    const found = this.#find(exchange, instance)
    if (!Array.isArray(found)) return
    for (const { key, window } of found) {
      if (this.#shared === undefined) this.#chargeLocally(key, window, cost)
      else
        this.#shared
          .decide<unknown>(
            (store) => store.acquire(key, window, cost, 'some'),
            () => this.#chargeLocally(key, window, cost),
          )
          .catch((error: Error) =>
            this.#host.log.error({ reason: error.message }, 'tokens could not be counted'),
          )
    }
  }

  #chargeLocally(key: string, window: LimitWindow, cost: number): void {
    const states = [{ remaining: 0, resetMs: 0 }]
    this.#host.limiter.acquire(key, [window], 0, states)
    const room = Math.min(cost, states[0]!.remaining)
    if (room > 0) this.#host.limiter.acquire(key, [window], room, states)
  }

  async #look({ key, window }: Found): Promise<Left> {
    const local = (): LimitState => {
      const states = [{ remaining: 0, resetMs: 0 }]
      this.#host.limiter.acquire(key, [window], 0, states)
      return states[0]!
    }
    if (this.#shared === undefined) return local()
    return this.#shared.decide<LimitState>((store) => store.acquire(key, window, 0), local)
  }

  /** The limits that apply; a verdict, or undefined, when there are none. */
  #find(exchange: Exchange, instance: string): Found[] | Verdict | undefined {
    const rules = this.#rulesFor(instance)
    if (rules.length === 0 && this.#settings.rules === undefined) return undefined
    const found: Found[] = []
    for (const rule of rules) {
      const key = rule.key(exchange)
      if (key === undefined) continue
      const window = { limit: rule.limit(exchange), windowMs: rule.seconds(exchange) * 1000 }
      // NaN, which a text without a number becomes, is not above 0 either.
      if (window.limit > 0 && window.windowMs > 0) found.push({ rule, key: this.#prefix + key, window })
      else if (!this.#settings.allow_degradation) return invalid
    }
    return found.length > 0 || this.#settings.allow_degradation ? found : invalid
  }

  /** Instances come from the configuration of other policies, so there are not many. */
  #rulesFor(instance: string): readonly Rule[] {
    const name = this.#settings.rules === undefined ? instance : ''
    let rules = this.#rules.get(name)
    if (rules === undefined) {
      rules = this.#make(name)
      this.#rules.set(name, rules)
    }
    return rules
  }

  #make(instance: string): Rule[] {
    const { rules, instances, limit, time_window: window } = this.#settings
    if (rules !== undefined)
      return rules.map((rule, index) => {
        const prefix = rule.header_prefix ?? String(index + 1)
        const key = compileCombination(rule.key, this.#host)
        return this.#rule(rule.count, rule.time_window, (x) => suffixed(index, key(x)), [`-${prefix}`, ''])
      })
    const own = instances?.find(({ name }) => name === instance)
    const names: [string, string] = ['', `-${instance}`]
    if (own !== undefined)
      return [this.#rule(own.limit, own.time_window, () => `instance:${own.name}`, names)]
    return limit === undefined ? [] : [this.#rule(limit, window!, () => 'all', names)]
  }

  #rule(
    limit: Amount,
    window: Amount,
    key: Rule['key'],
    [before, behind]: readonly [before: string, behind: string],
  ): Rule {
    const name = (kind: string) =>
      `X-AI${before}-RateLimit-${kind}${behind}`.replace(/[^!#$%&'*+.^_`|~\w-]/g, '-')
    const names = {
      limit_header: name('Limit'),
      remaining_header: name('Remaining'),
      reset_header: name('Reset'),
    }
    return {
      limit: compileQuantity(limit, this.#host),
      seconds: compileQuantity(window, this.#host),
      key,
      tell: this.#settings.show_limit_quota_header ? compileQuota('apisix', names, undefined) : undefined,
    }
  }
}

function suffixed(index: number, key: string | undefined): string | undefined {
  return key === undefined ? undefined : `${index}:${key}`
}
