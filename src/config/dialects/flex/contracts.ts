/**
 * Contracts -> consumers with their client id and secret, and contracts with a tier.
 *
 * The original has contracts in connected mode alone; its documentation of local mode knows the kind, and not what `sla`
 * holds. Here that is a name with the limits of a tier, as the platform has them.
 */
import { createHash } from 'node:crypto'
import { below, type Place, type Report } from '../../report.ts'
import { appliedTo } from './applied.ts'
import type { FlexModel, Resource } from './model.ts'
import { counterparts, slaPolicy } from './policies.ts'
import type { ApiInstance, Contract } from './resources.ts'
import type { Translation } from './translation.ts'

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
      addConsumer(consumer, client, identifying(model), below(place, 'client'), translation)
    } else if (known.secret !== client.secret) {
      report.add(below(place, 'client', 'secret'), {
        code: 'duplicate-credential',
        message: 'another contract has another secret for this client',
        hint: 'A client has one secret.',
      })
    }
    // Where nothing is limited by tiers, nobody asks for them.
    const hasTiers = sla !== undefined && limitsByTier(instance, model)
    const suffix = namespace === 'default' ? '' : `.${namespace}`
    translation.add(
      'contracts',
      {
        id: `${name}${suffix}`,
        consumer,
        service_id: `${apiId}${suffix}`,
        ...(hasTiers && { tier: sla.name }),
      },
      place,
      hasTiers ? [[['tier'], below(place, 'sla', 'name')]] : [],
    )
  }
}

function limitsByTier(instance: Resource<ApiInstance>, model: FlexModel): boolean {
  return appliedTo(instance, model).some(
    ({ name }) => (counterparts.get(name) ?? counterparts.get(`${name}-flex`))?.policy === slaPolicy,
  )
}

/** Policies in use that know clients by their id alone, because somebody else vouches for them. */
function identifying({ instances, bindings }: FlexModel): Set<string> {
  const names = [
    ...bindings.map(({ spec }) => spec.policyRef.name),
    ...instances.flatMap(({ spec }) => (spec.policies ?? []).map(({ policyRef }) => policyRef.name)),
  ]
  const used = names.map((name) => counterparts.get(name) ?? counterparts.get(`${name}-flex`))
  return new Set(used.flatMap((one) => (one?.identifies ? [one.policy] : [])))
}

function addConsumer(
  username: string,
  { id, secret }: Contract['client'],
  identifying: ReadonlySet<string>,
  place: Place,
  translation: Translation,
): void {
  const credential = { client_id: id, ...(secret !== undefined && { client_secret: secret }) }
  const consumer = {
    username,
    labels: { custom_id: id },
    plugins: {
      'client-id-enforcement': credential,
      ...Object.fromEntries([...identifying].map((policy) => [policy, { client_id: id }])),
    },
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
