/** What a policy asks of a model by itself: nothing of the client goes along. */
import { type CallAnswer, type CallClient, CallError } from '../calls.ts'
import type { PolicyHost } from '../host.ts'
import type { Json, Protocol } from './chat.ts'
import type { googleToken } from './google-token.ts'
import { modelRequest } from './model-request.ts'
import type { Instance } from './settings.ts'

/** @throws Error, a `CallError` when there is no complete answer */
export async function askService(
  calls: CallClient,
  instance: Instance,
  protocol: Protocol,
  body: Json,
  host: Pick<PolicyHost, 'now'>,
  token?: ReturnType<typeof googleToken>,
): Promise<CallAnswer> {
  const built = modelRequest({ body, protocol }, instance, await token?.(instance), host.now())
  if ('refusal' in built) throw new CallError('unreachable', 'the service does not take such a request')
  const { url, headers, body: sent } = built
  return calls.call({ method: 'POST', url: url.href, headers, body: sent })
}
