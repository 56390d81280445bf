/**
 * Documents -> a plan, or everything that is wrong with them. Nothing stops at the first finding: what is missing or
 * broken is left out of the checks that would need it, so that one mistake gives one finding.
 */
import { type Declarations, type Declared, readDeclarations } from './declarations.ts'
import { readSections } from './documents.ts'
import type { Loaded } from './load.ts'
import {
  consumerSpec,
  contractSpec,
  pluginSetSpec,
  routeSpec,
  serviceSpec,
  upstreamSpec,
} from './normalise.ts'
import type { ContractSpec, Plan, PluginSetSpec, RouteSpec, ServiceSpec } from './plan.ts'
import { type Catalogue, PolicyCheck } from './policy-check.ts'
import { type Finding, hasErrors } from './problem.ts'
import { checkReachability } from './reachability.ts'
import { checkReferences } from './references.ts'
import { Report } from './report.ts'
import type { RouteInput } from './resources.ts'
import { readSettings } from './settings-check.ts'

export type { Catalogue, PolicySchema } from './policy-check.ts'

export interface CheckOptions {
  /** Of the gateway itself, for its `Server` field. */
  gatewayVersion: string
  /** Of the plan. Default: 1. */
  planVersion?: number
}

export interface CheckResult {
  /** Absent when any finding is an error. */
  plan?: Plan
  /** Errors first, then by file and line. */
  findings: Finding[]
}

export function check(loaded: Loaded, catalogue: Catalogue, options: CheckOptions): CheckResult {
  const report = new Report(loaded.findings)
  const sections = readSections(loaded.documents, report)
  const settings = readSettings(sections, options.gatewayVersion, report)
  const declarations = readDeclarations(sections, new PolicyCheck(catalogue, report), report)
  checkReferences(declarations, report)
  const routes = activeRoutes(declarations)
  checkReachability(routes, report)

  const findings = report.finish()
  if (settings === undefined || hasErrors(findings)) return { findings }
  const plan: Plan = {
    version: options.planVersion ?? 1,
    settings,
    routes: new Map(routes.map(({ route }) => [route.id, route])),
    services: activeServices(declarations),
    upstreams: convert(declarations.upstreams, (id, input) =>
      upstreamSpec(`upstream:${id}`, { ...input, id }),
    ),
    consumer_groups: convert(declarations.consumer_groups, pluginSetSpec),
    consumers: convert(declarations.consumers, (_, input) => consumerSpec(input)),
    contracts: convert<Parameters<typeof contractSpec>[1], ContractSpec>(
      declarations.contracts,
      contractSpec,
    ),
    plugin_configs: convert(declarations.plugin_configs, pluginSetSpec),
    global_rules: convert(declarations.global_rules, pluginSetSpec),
    plugin_metadata: convert(declarations.plugin_metadata, metadataSpec),
  }
  return { plan, findings }
}

/** Routes that are in use: neither they nor their service are switched off. */
function activeRoutes({ routes, services }: Declarations) {
  const active: { route: RouteSpec; declared: Declared<RouteInput> }[] = []
  for (const declared of routes.values()) {
    const { id, input } = declared
    if (input === undefined || input.status === 0) continue
    const service = input.service_id === undefined ? undefined : services.get(String(input.service_id))?.input
    if (service?.status === 0) continue
    active.push({ route: routeSpec(id, input, service), declared })
  }
  return active
}

function activeServices({ services }: Declarations): Map<string, ServiceSpec> {
  const active = new Map<string, ServiceSpec>()
  for (const { id, input } of services.values()) {
    if (input !== undefined && input.status !== 0) active.set(id, serviceSpec(id, input))
  }
  return active
}

function convert<Input, Spec>(
  declared: ReadonlyMap<string, Declared<Input>>,
  specOf: (id: string, input: Input) => Spec,
): Map<string, Spec> {
  const specs = new Map<string, Spec>()
  for (const { id, input } of declared.values()) if (input !== undefined) specs.set(id, specOf(id, input))
  return specs
}

/** Metadata is held like the policies of any other set, under the policy's own name. */
function metadataSpec(
  name: string,
  { id: _, create_time: _created, update_time: _updated, ...metadata }: Record<string, unknown>,
): PluginSetSpec {
  return { id: name, plugins: { [name]: metadata } }
}
