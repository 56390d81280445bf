/** The policies of API instances and services: bound to them by name or by a selector, or written inside of them. */
import { below, type Place } from '../../report.ts'
import type { FlexModel, Resource } from './model.ts'
import { idOf } from './names.ts'
import type { ApiInstance, PolicyBinding, Rule, Service } from './resources.ts'

/** The order of bindings that say none. */
const usualOrder = 50

/** A policy that applies to an instance, wherever it was written. */
export interface Applied {
  name: string
  config: Record<string, unknown>
  rules: readonly Rule[]
  order: number
  /** Bound by a selector: those come before the ones that name their instance. */
  isAutomated: boolean
  /** For a stable order among equals. */
  key: string
  /** Of the reference to the policy, of its configuration, and of its rules. */
  place: Place
  configPlace: Place
  rulesPlace: Place
}

/** Everything that is bound to an instance, in the order in which it runs. */
export function appliedTo(instance: Resource<ApiInstance>, model: FlexModel): Applied[] {
  const bound = model.bindings.filter((binding) => isBoundTo(binding, instance)).map(appliedBinding)
  const inline = (instance.spec.policies ?? []).map(({ policyRef, config = {}, rules = [] }, index) => {
    const place = below(instance.place, 'policies', index)
    return {
      name: policyRef.name,
      config: config as Record<string, unknown>,
      rules,
      order: usualOrder,
      isAutomated: false,
      // Those of the instance come in the order in which they stand.
      key: `${instance.namespace}/${String(index).padStart(6, '0')}`,
      place: below(place, 'policyRef', 'name'),
      configPlace: below(place, 'config'),
      rulesPlace: below(place, 'rules'),
    }
  })
  return [...bound, ...inline].toSorted(byOrder)
}

/** CORS comes first, whatever its order. */
const isCors = ({ name }: Applied) => Number(name === 'cors-flex' || name === 'cors')

const byOrder = (a: Applied, b: Applied) =>
  isCors(b) - isCors(a) ||
  Number(b.isAutomated) - Number(a.isAutomated) ||
  a.order - b.order ||
  (a.key < b.key ? -1 : 1)

function appliedBinding({ namespace, name, spec, place }: Resource<PolicyBinding>): Applied {
  const { policyRef, config = {}, rules = [], order = usualOrder } = spec
  return {
    name: policyRef.name,
    config: config as Record<string, unknown>,
    rules,
    order,
    isAutomated: 'selector' in spec.targetRef,
    key: idOf(namespace, name),
    place: below(place, 'policyRef', 'name'),
    configPlace: below(place, 'config'),
    rulesPlace: below(place, 'rules'),
  }
}

export function isBoundTo(
  { namespace, spec }: Resource<PolicyBinding>,
  instance: Resource<ApiInstance>,
): boolean {
  const { targetRef } = spec
  if ('selector' in targetRef) {
    const { labels = {} } = targetRef.selector
    return Object.entries(labels).every(([label, value]) => instance.labels[label] === value)
  }
  const { kind = 'ApiInstance', name, namespace: target = namespace } = targetRef
  return kind === 'ApiInstance' && name === instance.name && target === instance.namespace
}

/** Everything that is bound to a service, in the order in which it runs. */
export function appliedToService(service: Resource<Service>, { bindings }: FlexModel): Applied[] {
  return bindings
    .filter(({ namespace, spec: { targetRef } }) => {
      if ('selector' in targetRef || targetRef.kind !== 'Service') return false
      return targetRef.name === service.name && (targetRef.namespace ?? namespace) === service.namespace
    })
    .map(appliedBinding)
    .toSorted(byOrder)
}
