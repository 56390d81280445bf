/**
 * API instances with what is bound to them -> services, routes and upstreams.
 *
 * An instance is a service with its policies. Each rule of a binding that says where requests go is a route: all of them
 * have the path of their instance, so that the order of the bindings decides, and the rule's conditions.
 */
import type { PathSegment } from '../../problem.ts'
import { below, type Place, type Report } from '../../report.ts'
import { type InstanceAddress, instanceAddress } from './addresses.ts'
import { type Applied, appliedTo, isBoundTo } from './applied.ts'
import type { FlexSettings } from './configurations.ts'
import { type Tier, tiersOf } from './contracts.ts'
import type { FlexModel, Resource } from './model.ts'
import { idOf } from './names.ts'
import { type Counterpart, counterpartOf, isOfConnections, slaPolicy, trafficPolicies } from './policies.ts'
import { checkConfig } from './policy-config.ts'
import type { ApiInstance, Rule } from './resources.ts'
import { type Condition, conditionsOf, groupsIn, pathPattern } from './rules.ts'
import { addUpstream, misplaced, type Target, translateServices } from './services.ts'
import { timeoutSchema, timeoutSeconds } from './timeouts.ts'
import type { Translation } from './translation.ts'

/** Policies of services run after those of the instance. */
const afterInstance = 100_000

/** Policies of routes to a service, as they stand in the routes. */
interface Plugins {
  readonly plugins: Record<string, object>
  readonly parts: [PathSegment[], Place][]
}

export function translateApis(
  model: FlexModel,
  settings: FlexSettings,
  translation: Translation,
  report: Report,
): void {
  const targets = translateServices(model, settings.services, translation, report)
  const ports = new Map<number, Place>()
  const bases = new Map<string, Resource<ApiInstance>>()
  for (const instance of model.instances) {
    const place = below(instance.place, 'address')
    const address = instanceAddress(instance.spec.address, place, report)
    if (address === undefined) continue
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
    if (!ports.has(address.port)) ports.set(address.port, place)
    new InstanceTranslation(instance, address, targets, settings, translation, report).translate(model)
  }
  for (const [port, place] of ports) addUnmatched(port, place, translation)
  checkTargets(model, report)
}

/** What no instance of a port takes. */
function addUnmatched(port: number, place: Place, translation: Translation): void {
  const route = {
    id: `port-${port}.unmatched`,
    uri: '/*',
    vars: [['server_port', '==', String(port)]],
    priority: -1,
    plugins: { 'route-weighted': { routes: [] } },
  }
  translation.add('routes', route, place)
}

class InstanceTranslation {
  private readonly instance: Resource<ApiInstance>
  private readonly address: InstanceAddress
  private readonly targets: ReadonlyMap<string, Target>
  private readonly settings: FlexSettings
  /** `timeout` of its routes; undefined: that of their upstreams. */
  private timeout: { connect: number; send: number; read: number } | undefined
  private readonly translation: Translation
  private readonly report: Report
  private readonly id: string
  private readonly routes: { route: object; place: Place; parts: [PathSegment[], Place][] }[] = []

  constructor(
    instance: Resource<ApiInstance>,
    address: InstanceAddress,
    targets: ReadonlyMap<string, Target>,
    settings: FlexSettings,
    translation: Translation,
    report: Report,
  ) {
    this.instance = instance
    this.address = address
    this.targets = targets
    this.settings = settings
    this.translation = translation
    this.report = report
    this.id = idOf(instance.namespace, instance.name)
  }

  translate(model: FlexModel): void {
    const { place } = this.instance
    const applied = appliedTo(this.instance, model)
    this.addService(
      applied.filter((one) => !trafficPolicies.has(one.name) && one.name !== 'tls' && !this.setTimeout(one)),
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

  /** @returns whether the policy is about times, which its routes have */
  private setTimeout(applied: Applied): boolean {
    const name = applied.name.replace(/-flex$/, '')
    if (name !== 'response-timeout' && name !== 'stream-idle-timeout') return false
    const { responseTimeout: usual } = this.settings.services
    const config = checkConfig(timeoutSchema(name === 'response-timeout' ? 15 : 300), applied, this.report)
    if (applied.rules.length > 0) {
      this.report.add(applied.rulesPlace, {
        code: 'unsupported-field',
        at: 'key',
        message: 'a timeout is for all requests of an instance here',
        hint: 'Give the paths that need another one an instance of their own, or leave rules out.',
      })
    }
    if (config === undefined) return true
    const seconds = timeoutSeconds(config.timeout)
    const known = this.timeout ?? { connect: usual, send: usual, read: timeoutSeconds(usual) }
    // A request that is silent for too long is over, whatever time there is left for its answer.
    if (name === 'response-timeout') this.timeout = { ...known, read: seconds }
    else this.timeout = { ...known, send: seconds, read: Math.min(known.read, seconds) }
    return true
  }

  private addService(applied: readonly Applied[], model: FlexModel): void {
    const made: Plugins = { plugins: {}, parts: [] }
    const { plugins, parts } = made
    for (const one of applied) {
      if (isOfConnections(one.name)) {
        misplaced(one, 'a Service', this.report)
        continue
      }
      const counterpart = counterpartOf(one.name, one.place, this.report)
      if (counterpart?.binds === 'service') misplaced(one, 'a Service', this.report)
      else if (counterpart !== undefined) this.addPolicy(one, counterpart, model, made)
    }
    const { place, name } = this.instance
    this.translation.add('services', { id: this.id, name, plugins }, place, parts)
  }

  private addPolicy(
    { config, rules, place, configPlace, rulesPlace }: Applied,
    { policy, fields = {}, values = {}, idle = [], read = [], fixed = {}, before, told }: Counterpart,
    model: FlexModel,
    { plugins, parts }: Plugins,
    order = 0,
  ): void {
    const filter = filterOf(rules, this.address.base, rulesPlace, this.report)
    const put = (name: string, fieldsOf: object) => {
      const key = keyFor(name, plugins)
      const meta = { order: order + Object.keys(plugins).length, ...(filter !== undefined && { filter }) }
      plugins[key] = { ...fieldsOf, _meta: meta }
      parts.push([['plugins', key], configPlace], [['plugins', key, '_meta'], place])
      return key
    }
    const own = Object.entries(config).filter(([field]) => !idle.includes(field))
    for (const field of idle) {
      if (Object.hasOwn(config, field) && !read.includes(field)) this.tellIdle(below(configPlace, field))
    }
    if (before !== undefined) {
      const first = Object.fromEntries(own.filter(([field]) => before.fields.includes(field)))
      put(before.policy, { ...before.fixed, ...first })
    }
    const rest = own.filter(([field]) => before?.fields.includes(field) !== true)
    const renamed = Object.fromEntries(
      rest.map(([field, value]) => [
        fields[field] ?? field,
        values[field]?.(value, this.address.base, config) ?? value,
      ]),
    )
    const key = put(policy, {
      ...fixed,
      ...told?.(this.settings, config),
      ...renamed,
      ...(policy === slaPolicy && this.tiers(model, place)),
    })
    for (const [field, here] of Object.entries(fields)) {
      if (Object.hasOwn(config, field)) parts.push([['plugins', key, here], below(configPlace, field)])
    }
  }

  private tellIdle(place: Place): void {
    this.report.add(place, {
      code: 'ignored-field',
      severity: 'info',
      at: 'key',
      message: 'has no effect here',
    })
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
        target: this.targetOf(destination.destinationRef, below(place, 'destinationRef')),
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
      const addressPlace = below(servicePlace, 'address')
      addUpstream(
        upstream,
        service.address,
        addressPlace,
        this.settings.services,
        this.translation,
        this.report,
      )
      const routes = service.routes ?? []
      for (const [at, { config, rules }] of (routes.length === 0 ? [{}] : routes).entries() as Iterable<
        [number, { config?: { destinationPath?: string }; rules?: readonly Rule[] }]
      >) {
        const routePlace = routes.length === 0 ? servicePlace : below(servicePlace, 'routes', at)
        const piece = {
          weight: 1,
          destinationPath: config?.destinationPath,
          target: { id: upstream, policies: [] },
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
      target: Target | undefined
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
    const routes = destinations.map(({ weight, destinationPath, target }) => ({
      ...(weight !== undefined && { weight }),
      ...(destinationPath !== undefined && { destinationPath }),
      upstream_id: target?.id ?? '',
    }))
    const made = this.policiesOf(destinations)
    const config = { path: pathPattern(path, base), capturing: groupsIn(path) > 0, base, routes }
    const route = {
      id: `${this.id}.${id}`,
      uri: `${base}/*`,
      vars: [['server_port', '==', String(port)], ...conditions],
      service_id: this.id,
      ...(destinations.length === 1 && { upstream_id: only?.target?.id }),
      ...(this.timeout !== undefined && { timeout: this.timeout }),
      ...((rewrites || Object.keys(made.plugins).length > 0) && {
        plugins: { ...made.plugins, ...(rewrites && { 'route-weighted': config }) },
      }),
    }
    const parts: [PathSegment[], Place][] = [[['vars'], rulePlace], ...made.parts]
    if (rewrites) {
      parts.push([['plugins', 'route-weighted'], place])
      destinations.forEach((one, index) => {
        parts.push([['plugins', 'route-weighted', 'routes', index], one.place])
      })
    }
    if (destinations.every(({ target }) => target !== undefined)) {
      this.routes.push({ route, place, parts })
    }
  }

  /** Policies of the services that a route leads to. */
  private policiesOf(destinations: readonly { target: Target | undefined }[]): Plugins {
    const made: Plugins = { plugins: {}, parts: [] }
    const targets = [...new Set(destinations.flatMap(({ target }) => target ?? []))]
    const model = { contracts: [] } as unknown as FlexModel
    for (const { policies } of targets) {
      for (const { applied, counterpart } of policies) {
        if (targets.length === 1) {
          this.addPolicy(applied, counterpart, model, made, afterInstance)
          continue
        }
        this.report.add(applied.place, {
          code: 'unsupported-value',
          message:
            'the service shares a route-weighted with others, and then it has no policies of requests here',
          hint: 'Bind the policy to the instance, or give the service routes of its own.',
        })
      }
    }
    return made
  }

  private targetOf(reference: unknown, place: Place): Target | undefined {
    const { name, namespace = this.instance.namespace, kind = 'Service' } = mapOf(reference)
    if (kind === 'Service' && typeof name === 'string') {
      const found = this.targets.get(`${String(namespace)}/${name}`)
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
}

/** Bindings whose target does not exist, or that cannot be bound to it. */
function checkTargets({ bindings, instances, services }: FlexModel, report: Report): void {
  for (const binding of bindings) {
    const { namespace, spec, place } = binding
    const { targetRef, policyRef } = spec
    // Of those that are bound the name was looked at with their instance.
    const isUsed =
      'selector' in targetRef || targetRef.kind !== 'Service'
        ? instances.some((one) => isBoundTo(binding, one))
        : true
    if (!trafficPolicies.has(policyRef.name) && !isOfConnections(policyRef.name) && !isUsed)
      counterpartOf(policyRef.name, below(place, 'policyRef', 'name'), report)
    if ('selector' in targetRef) continue
    const { kind = 'ApiInstance', name, namespace: target = namespace } = targetRef
    const among: readonly Resource<unknown>[] = kind === 'Service' ? services : instances
    if (!among.some((one) => one.name === name && one.namespace === target)) {
      report.add(below(place, 'targetRef', 'name'), {
        code: 'dangling-reference',
        message: `there is no ${kind} ${name}`,
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

function mapOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function listOf(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.map(mapOf) : []
}
