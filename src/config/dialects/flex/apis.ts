/**
 * API instances with what is bound to them -> services, routes and upstreams.
 *
 * An instance is a service with its policies. Each rule of a binding that says where requests go is a route: all of them
 * have the path of their instance, so that the order of the bindings decides, and the rule's conditions.
 */
import type { PathSegment } from '../../problem.ts'
import { below, type Place, type Report } from '../../report.ts'
import { type InstanceAddress, instanceAddress, serviceAddress } from './addresses.ts'
import { type Tier, tiersOf } from './contracts.ts'
import type { FlexModel, Resource } from './model.ts'
import { type Counterpart, counterpartOf, slaPolicy, trafficPolicies } from './policies.ts'
import type { ApiInstance, PolicyBinding, Rule } from './resources.ts'
import { type Condition, conditionsOf, groupsIn, pathPattern } from './rules.ts'
import type { Translation } from './translation.ts'

/** The order of bindings that say none. */
const usualOrder = 50
/** Seconds that an upstream has for its answer; `FLEX_UPSTREAM_RESPONSE_TIMEOUT_SECONDS` without a value. */
const responseTimeout = 15

/** A policy that applies to an instance, wherever it was written. */
interface Applied {
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

export function translateApis(model: FlexModel, translation: Translation, report: Report): void {
  const upstreams = translateServices(model, translation, report)
  const bases = new Map<string, Resource<ApiInstance>>()
  for (const instance of model.instances) {
    const place = below(instance.place, 'address')
    const address = instanceAddress(instance.spec.address, place, report)
    if (address === undefined) continue
    if (address.isSecure) {
      report.add(place, {
        code: 'unsupported-value',
        message: 'API instances with https are not read by this version yet',
        hint: 'Write http, or the API as services, routes and ssls.',
      })
      continue
    }
    const base = `${address.port}${address.base}`
    const other = bases.get(base)
    if (other !== undefined) {
      report.add(place, {
        code: 'duplicate-listener',
        message: `the API instance ${other.name} has the same port and path`,
        hint: 'Give one of them another path.',
      })
      continue
    }
    bases.set(base, instance)
    new InstanceTranslation(instance, address, upstreams, translation, report).translate(model)
  }
  checkTargets(model, report)
}

/** @returns the services that there are, as they are called in routes */
function translateServices(
  { services }: FlexModel,
  translation: Translation,
  report: Report,
): ReadonlyMap<string, string> {
  const ids = new Map<string, string>()
  for (const { namespace, name, spec, place } of services) {
    const id = idOf(namespace, name)
    ids.set(`${namespace}/${name}`, id)
    addUpstream(id, spec.address, below(place, 'address'), translation, report)
  }
  return ids
}

function addUpstream(id: string, text: string, place: Place, translation: Translation, report: Report): void {
  const address = serviceAddress(text, place, report)
  const { scheme, host, port } = address ?? { scheme: 'http', host: 'localhost', port: 1 }
  const upstream = {
    id,
    nodes: [{ host, port, weight: 1 }],
    scheme,
    pass_host: 'node',
    timeout: { connect: responseTimeout, send: responseTimeout, read: responseTimeout },
  }
  translation.add('upstreams', upstream, place)
}

class InstanceTranslation {
  private readonly instance: Resource<ApiInstance>
  private readonly address: InstanceAddress
  private readonly upstreams: ReadonlyMap<string, string>
  private readonly translation: Translation
  private readonly report: Report
  private readonly id: string
  private readonly routes: { route: object; place: Place; parts: [PathSegment[], Place][] }[] = []

  constructor(
    instance: Resource<ApiInstance>,
    address: InstanceAddress,
    upstreams: ReadonlyMap<string, string>,
    translation: Translation,
    report: Report,
  ) {
    this.instance = instance
    this.address = address
    this.upstreams = upstreams
    this.translation = translation
    this.report = report
    this.id = idOf(instance.namespace, instance.name)
  }

  translate(model: FlexModel): void {
    const { place } = this.instance
    const applied = this.applied(model)
    this.addService(
      applied.filter(({ name }) => !trafficPolicies.has(name)),
      model,
    )
    for (const binding of applied) if (trafficPolicies.has(binding.name)) this.addBinding(binding)
    this.addInlineServices()
    if (this.routes.length === 0) {
      this.report.add(place, {
        code: 'route-without-upstream',
        severity: 'warning',
        message: 'it leads nowhere: it has no services, and no binding of `route` names it',
      })
    }
    this.routes.forEach(({ route, place: written, parts }, index) => {
      const priority = this.routes.length - index
      this.translation.add('routes', { ...route, priority }, written, parts)
    })
  }

  private addService(applied: readonly Applied[], model: FlexModel): void {
    const plugins: Record<string, object> = {}
    const parts: [PathSegment[], Place][] = []
    for (const one of applied) {
      const counterpart = counterpartOf(one.name, one.place, this.report)
      if (counterpart !== undefined) this.addPolicy(one, counterpart, model, plugins, parts)
    }
    const { place, name } = this.instance
    this.translation.add('services', { id: this.id, name, plugins }, place, parts)
  }

  private addPolicy(
    { config, rules, place, configPlace, rulesPlace }: Applied,
    { policy, fields = {}, fixed = {}, before }: Counterpart,
    model: FlexModel,
    plugins: Record<string, object>,
    parts: [PathSegment[], Place][],
  ): void {
    const filter = filterOf(rules, this.address.base, rulesPlace, this.report)
    const put = (name: string, fieldsOf: object) => {
      const key = keyFor(name, plugins)
      const meta = { order: Object.keys(plugins).length, ...(filter !== undefined && { filter }) }
      plugins[key] = { ...fieldsOf, _meta: meta }
      parts.push([['plugins', key], configPlace], [['plugins', key, '_meta'], place])
      return key
    }
    const own = Object.entries(config)
    if (before !== undefined) {
      const first = Object.fromEntries(own.filter(([field]) => before.fields.includes(field)))
      put(before.policy, { ...before.fixed, ...first })
    }
    const rest = own.filter(([field]) => before?.fields.includes(field) !== true)
    const renamed = Object.fromEntries(rest.map(([field, value]) => [fields[field] ?? field, value]))
    const key = put(policy, { ...fixed, ...renamed, ...(policy === slaPolicy && this.tiers(model, place)) })
    for (const [field, here] of Object.entries(fields)) {
      if (Object.hasOwn(config, field)) parts.push([['plugins', key, here], below(configPlace, field)])
    }
  }

  private tiers(model: FlexModel, place: Place): { tiers: Tier[] } {
    const tiers = tiersOf(model.contracts, this.instance.name, this.report)
    if (tiers.length > 0) return { tiers }
    this.report.add(place, {
      code: 'missing-field',
      message: `no Contract for ${this.instance.name} has an sla, so that nobody could pass`,
      hint: 'Write a Contract with apiId, client and sla: {name, limits: [{maximumRequests, timePeriodInMilliseconds}]}.',
    })
    return { tiers: [{ name: 'none', limits: [{ maximumRequests: 1, timePeriodInMilliseconds: 1 }] }] }
  }

  private addBinding({ name, config, rules, key, configPlace, rulesPlace }: Applied): void {
    const destinations = name === 'route' ? [config] : listOf(config.routes)
    const pieces = destinations.map((destination, index) => {
      const place = name === 'route' ? configPlace : below(configPlace, 'routes', index)
      return {
        weight: destination.weight,
        destinationPath: destination.destinationPath,
        upstream_id: this.upstreamOf(destination.destinationRef, below(place, 'destinationRef')),
        place,
      }
    })
    if (pieces.length === 0) {
      this.report.add(configPlace, { code: 'missing-field', message: 'routes: at least one is needed' })
      return
    }
    eachRule(rules, (rule, index) => {
      this.addRoute(`${key}-${index + 1}`, rule, below(rulesPlace, index), pieces, configPlace)
    })
  }

  private addInlineServices(): void {
    const { spec, place } = this.instance
    for (const [name, service] of Object.entries(spec.services ?? {})) {
      const servicePlace = below(place, 'services', name)
      const upstream = `${this.id}-${name}`
      addUpstream(upstream, service.address, below(servicePlace, 'address'), this.translation, this.report)
      const routes = service.routes ?? []
      for (const [at, { config, rules }] of (routes.length === 0 ? [{}] : routes).entries() as Iterable<
        [number, { config?: { destinationPath?: string }; rules?: readonly Rule[] }]
      >) {
        const routePlace = routes.length === 0 ? servicePlace : below(servicePlace, 'routes', at)
        const piece = {
          weight: 1,
          destinationPath: config?.destinationPath,
          upstream_id: upstream,
          place: below(routePlace, 'config'),
        }
        eachRule(rules ?? [], (rule, index) => {
          const id = `${name}-${at + 1}-${index + 1}`
          this.addRoute(id, rule, below(routePlace, 'rules', index), [piece], routePlace)
        })
      }
    }
  }

  private addRoute(
    id: string,
    rule: Rule,
    rulePlace: Place,
    destinations: readonly {
      weight: unknown
      destinationPath: unknown
      upstream_id: string | undefined
      place: Place
    }[],
    place: Place,
  ): void {
    const { base, port } = this.address
    const conditions = conditionsOf(rule, base, rulePlace, this.report)
    const { path = '.*' } = rule
    const rewrites =
      base !== '' ||
      groupsIn(path) > 0 ||
      destinations.length > 1 ||
      destinations.some(({ destinationPath }) => destinationPath !== undefined && destinationPath !== '/')
    const [only] = destinations
    const routes = destinations.map(({ weight, destinationPath, upstream_id }) => ({
      ...(weight !== undefined && { weight }),
      ...(destinationPath !== undefined && { destinationPath }),
      upstream_id: upstream_id ?? '',
    }))
    const config = { path: pathPattern(path, base), capturing: groupsIn(path) > 0, base, routes }
    const route = {
      id: `${this.id}.${id}`,
      uri: `${base}/*`,
      vars: [['server_port', '==', String(port)], ...conditions],
      service_id: this.id,
      ...(destinations.length === 1 && { upstream_id: only?.upstream_id }),
      ...(rewrites && { plugins: { 'route-weighted': config } }),
    }
    const parts: [PathSegment[], Place][] = [[['vars'], rulePlace]]
    if (rewrites) {
      parts.push([['plugins', 'route-weighted'], place])
      destinations.forEach((one, index) => {
        parts.push([['plugins', 'route-weighted', 'routes', index], one.place])
      })
    }
    if (destinations.every(({ upstream_id }) => upstream_id !== undefined)) {
      this.routes.push({ route, place, parts })
    }
  }

  private upstreamOf(reference: unknown, place: Place): string | undefined {
    const { name, namespace = this.instance.namespace, kind = 'Service' } = mapOf(reference)
    if (kind === 'Service' && typeof name === 'string') {
      const found = this.upstreams.get(`${String(namespace)}/${name}`)
      if (found !== undefined) return found
      this.report.add(below(place, 'name'), {
        code: 'dangling-reference',
        message: `there is no Service ${name}`,
      })
    } else {
      this.report.add(place, {
        code: 'missing-field',
        message: 'needs the name of a Service',
        hint: 'destinationRef: {name: NAME}',
      })
    }
    return undefined
  }

  /** Everything that is bound to the instance, in the order in which it runs. */
  private applied(model: FlexModel): Applied[] {
    const { instance } = this
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
    return [...bound, ...inline].toSorted(
      (a, b) =>
        Number(b.name === 'cors-flex') - Number(a.name === 'cors-flex') ||
        Number(b.isAutomated) - Number(a.isAutomated) ||
        a.order - b.order ||
        (a.key < b.key ? -1 : 1),
    )
  }
}

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

function isBoundTo({ namespace, spec }: Resource<PolicyBinding>, instance: Resource<ApiInstance>): boolean {
  const { targetRef } = spec
  if ('selector' in targetRef) {
    const { labels = {} } = targetRef.selector
    return Object.entries(labels).every(([label, value]) => instance.labels[label] === value)
  }
  const { kind = 'ApiInstance', name, namespace: target = namespace } = targetRef
  return kind === 'ApiInstance' && name === instance.name && target === instance.namespace
}

/** Bindings whose target does not exist, or that cannot be bound to it. */
function checkTargets({ bindings, instances, services }: FlexModel, report: Report): void {
  for (const binding of bindings) {
    const { namespace, spec, place } = binding
    const { targetRef, policyRef } = spec
    // Of those that are bound the name was looked at with their instance.
    if (!trafficPolicies.has(policyRef.name) && !instances.some((one) => isBoundTo(binding, one)))
      counterpartOf(policyRef.name, below(place, 'policyRef', 'name'), report)
    if ('selector' in targetRef) continue
    const { kind = 'ApiInstance', name, namespace: target = namespace } = targetRef
    const among: readonly Resource<unknown>[] = kind === 'Service' ? services : instances
    if (!among.some((one) => one.name === name && one.namespace === target)) {
      report.add(below(place, 'targetRef', 'name'), {
        code: 'dangling-reference',
        message: `there is no ${kind} ${name}`,
      })
    } else if (kind === 'Service') {
      report.add(below(place, 'targetRef', 'kind'), {
        code: 'unsupported-value',
        message: 'policies of services are not read by this version yet',
      })
    }
  }
}

/** Rules of a policy as `_meta.filter`; undefined: it is for every request. */
function filterOf(rules: readonly Rule[], base: string, place: Place, report: Report): Condition | undefined {
  const all = rules.map((rule, index) => conditionsOf(rule, base, below(place, index), report))
  if (all.length === 0 || all.some((conditions) => conditions.length === 0)) return undefined
  if (all.length === 1) return all[0]
  return ['OR', ...all.map((one) => (one.length === 1 ? one[0]! : ['AND', ...one]))]
}

function eachRule(rules: readonly Rule[], visit: (rule: Rule, index: number) => void): void {
  if (rules.length === 0) visit({}, 0)
  else rules.forEach(visit)
}

/** A policy can be bound several times: the second is `NAME#2`. */
function keyFor(policy: string, plugins: Readonly<Record<string, object>>): string {
  if (!Object.hasOwn(plugins, policy)) return policy
  let number = 2
  while (Object.hasOwn(plugins, `${policy}#${number}`)) number++
  return `${policy}#${number}`
}

/** As it is called in the model. */
function idOf(namespace: string, name: string): string {
  return namespace === 'default' ? name : `${name}.${namespace}`
}

function mapOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function listOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(mapOf) : []
}
