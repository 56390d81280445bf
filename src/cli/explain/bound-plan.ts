/** A plan with secrets in the place of references, as data threads get it. */
import { zonePlaces } from '../../config/cache-zones.ts'
import type { Plan } from '../../config/plan.ts'
import type { Catalogue, SecretUse } from '../../config/policy-check.ts'
import { bindResource, type Referring, referringKinds } from '../../secrets/binding.ts'
import { readerOf } from '../../secrets/reader.ts'
import type { CliIo } from '../command.ts'

/** `asksManagers`: else only what refers to the environment is looked up, and the rest is missing. */
export async function bindSecrets(
  plan: Plan,
  uses: readonly SecretUse[],
  catalogue: Catalogue,
  asksManagers: boolean,
  io: CliIo,
): Promise<Plan> {
  if (uses.length === 0) return plan
  const reader = readerOf(io)
  reader.timeout = plan.settings.secrets.timeout
  const values = new Map<string, string>()
  const references = [...new Set(uses.map(({ text }) => text))].map((text) => ({ text }))
  await reader.resolveAll(references, asksManagers ? plan.secrets : new Map(), ({ text }, resolution) => {
    if ('value' in resolution) values.set(text, resolution.value)
  })
  const zones = zonePlaces(plan.settings.cache.zones)
  const bound = referringKinds.map((kind) => {
    const resources = [...(plan[kind] as ReadonlyMap<string, Referring>)].map(([id, resource]) => [
      id,
      bindResource(kind, resource, {
        lookUp: (text) => values.get(text),
        catalogue,
        zones,
        misfit: () => {},
      }),
    ])
    return [kind, new Map(resources as [string, Referring][])]
  })
  return { ...plan, ...Object.fromEntries(bound) }
}
