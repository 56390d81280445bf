/**
 * Contracts -> consumers with their client id and secret, and contracts with a tier.
 *
 * The original has contracts in connected mode alone; its documentation of local mode knows the kind, and not what `sla`
 * holds. Here that is a name with the limits of a tier, as the platform has them.
 */
import { createHash } from 'node:crypto'
import { below, type Place, type Report } from '../../report.ts'
import type { FlexModel, Resource } from './model.ts'
import type { Contract } from './resources.ts'
import type { Translation } from './translation.ts'

/** The tier of contracts without `sla`: only the identity of their client counts. */
const untold = 'none'

export interface Tier {
  readonly name: string
  readonly limits: NonNullable<Contract['sla']>['limits']
}

/** The tiers of an API, as its contracts have them. */
export function tiersOf(contracts: readonly Resource<Contract>[], apiId: string, report?: Report): Tier[] {
  const tiers = new Map<string, Tier>()
  for (const { spec, place } of contracts) {
    const { sla } = spec
    if (spec.apiId !== apiId || sla === undefined) continue
    const known = tiers.get(sla.name)
    if (known === undefined) tiers.set(sla.name, sla)
    else if (JSON.stringify(known.limits) !== JSON.stringify(sla.limits)) {
      report?.add(below(place, 'sla', 'limits'), {
        code: 'conflicting-shared-state',
        message: `another contract for ${apiId} has other limits for the tier ${sla.name}`,
        hint: 'Give the tier the same limits in all contracts, or another name.',
      })
    }
  }
  return [...tiers.values()]
}

export function translateContracts(model: FlexModel, translation: Translation, report: Report): void {
  const clients = new Map<string, { secret: string | undefined }>()
  for (const { namespace, name, spec, place } of model.contracts) {
    const { apiId, client, sla } = spec
    const instance = model.instances.find((one) => one.name === apiId && one.namespace === namespace)
    if (instance === undefined) {
      report.add(below(place, 'apiId'), {
        code: 'dangling-reference',
        message: `there is no ApiInstance ${apiId}`,
      })
      continue
    }
    const consumer = usernameOf(client.id)
    const known = clients.get(client.id)
    if (known === undefined) {
      clients.set(client.id, { secret: client.secret })
      addConsumer(consumer, client, below(place, 'client'), translation)
    } else if (known.secret !== client.secret) {
      report.add(below(place, 'client', 'secret'), {
        code: 'duplicate-credential',
        message: 'another contract has another secret for this client',
        hint: 'A client has one secret.',
      })
    }
    const suffix = namespace === 'default' ? '' : `.${namespace}`
    translation.add(
      'contracts',
      { id: `${name}${suffix}`, consumer, service_id: `${apiId}${suffix}`, tier: sla?.name ?? untold },
      place,
      sla === undefined ? [] : [[['tier'], below(place, 'sla', 'name')]],
    )
  }
}

function addConsumer(
  username: string,
  { id, secret }: Contract['client'],
  place: Place,
  translation: Translation,
): void {
  const credential = { client_id: id, ...(secret !== undefined && { client_secret: secret }) }
  const consumer = {
    username,
    labels: { custom_id: id },
    plugins: { 'client-id-enforcement': credential },
  }
  translation.add('consumers', consumer, place, [
    [['plugins', 'client-id-enforcement', 'client_id'], below(place, 'id')],
    [['plugins', 'client-id-enforcement', 'client_secret'], below(place, 'secret')],
  ])
}

/** Consumers have names of letters, digits, `-` and `_`. */
function usernameOf(clientId: string): string {
  if (/^[a-zA-Z0-9_-]{1,512}$/.test(clientId)) return clientId
  return `client-${createHash('sha256').update(clientId).digest('hex').slice(0, 32)}`
}
