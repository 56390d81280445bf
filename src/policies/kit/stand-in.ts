import type { Exchange, Verdict } from '../../proxy/exchange.ts'
import type { PolicyHost } from './host.ts'

/**
 * What becomes of a caller whom an authentication policy does not know: the consumer of its `anonymous_consumer` stands
 * in, or the refusal is given back, where there is no such setting.
 *
 * @param absent The answer when the configuration names a consumer that does not exist.
 */
export function anonymousStandIn(
  username: string | undefined,
  { consumers, log, binding }: Pick<PolicyHost, 'consumers' | 'log' | 'binding'>,
  absent: Verdict,
): (exchange: Exchange, refusal: Verdict) => Verdict | undefined {
  if (username === undefined) return (_, refusal) => refusal
  const message = `anonymous consumer of ${binding.policy} not found`
  return (exchange) => {
    const consumer = consumers.find(username)
    if (consumer === undefined) {
      log.error({ consumer: username }, message)
      return absent
    }
    exchange.identify(consumer, '')
    return undefined
  }
}
