/** Access tokens for instances with a service account of Google, kept for as long as they may be. */
import { Account, type AccountFacts } from '../google-account.ts'
import { HttpSink } from '../logging/http-sink.ts'
import { isJson, parsedJson } from './chat.ts'
import type { Instance } from './settings.ts'

/**
 * @param timeout milliseconds for asking for one
 * @param now epoch milliseconds
 * @returns for an instance the value of `Authorization`; undefined: it has no such account
 */
export function googleToken(
  timeout: number,
  now: () => number,
): (instance: Instance) => Promise<string | undefined> {
  const accounts = new Map<string, Account>()

  /** @throws Error */
  function accountOf({ auth: { gcp } }: Instance): Account {
    const source = parsedJson(gcp?.service_account_json ?? process.env.GCP_SERVICE_ACCOUNT ?? '')
    if (!isJson(source)) throw new Error('there is no service account of Google')
    const sink = new HttpSink({ timeout, verify: true, accepts: (status) => status === 200 })
    const { expire_early_secs: margin = 60, max_ttl: longest = Number.POSITIVE_INFINITY } = gcp ?? {}
    return new Account(source as unknown as AccountFacts, sink, now, { margin, longest })
  }

  return async (instance) => {
    if (instance.auth.gcp === undefined) return undefined
    let account = accounts.get(instance.name)
    if (account === undefined) {
      account = accountOf(instance)
      accounts.set(instance.name, account)
    }
    return (await account.access()).authorization
  }
}
