/**
 * Documents -> a plan, or everything that is wrong with them. Nothing stops at the first finding: what is missing or
 * broken is left out of the checks that would need it, so that one mistake gives one finding.
 */
import { defaultZones, type ZonePlaces, zonePlaces } from './cache-zones.ts'
import { readCertificates } from './certificate-items.ts'
import { Configuration } from './configuration.ts'
import { type Declarations, type Declared, readDeclarations } from './declarations.ts'
import { checkDiscovery } from './discovery-check.ts'
import { addSections, readSections } from './documents.ts'
import type { Loaded, SourceDocument } from './load.ts'
import {
  consumerSpec,
  contractSpec,
  metadataSpec,
  pluginSetSpec,
  routeSpec,
  secretManagerSpec,
  serviceRegistrySpec,
  serviceSpec,
  sslSpec,
  streamRouteSpec,
  upstreamSpec,
} from './normalise.ts'
import type {
  ContractSpec,
  Plan,
  PluginConfig,
  ResourceKind,
  RouteSpec,
  ServiceSpec,
  StreamRouteSpec,
} from './plan.ts'
import { type Catalogue, PolicyCheck, type SecretUse } from './policy-check.ts'
import { addPolicyUpstreams } from './policy-upstreams.ts'
import { type Finding, type FindingCode, hasErrors } from './problem.ts'
import { checkReachability } from './reachability.ts'
import { checkReferences } from './references.ts'
import { below, Report } from './report.ts'
import type { RouteInput } from './resources.ts'
import { checkSecrets } from './secret-check.ts'
import { secretReferencesIn } from './secret-reference.ts'
import type { Settings } from './settings.ts'
import { readSettings, type SettingsSources } from './settings-check.ts'

export type { Catalogue, PolicySchema } from './policy-check.ts'

export interface CheckOptions {
  /** Of the gateway itself, for its `Server` field. */
  gatewayVersion: string
  /** Of the plan. Default: 1. */
  planVersion?: number
  /** The result needs no `configuration`, which is a sixth of the work. */
  planOnly?: boolean
  /**
   * What the gateway holds itself, such as resources of the Admin API. They are
   * checked like any other, but what they refer to may be missing, and policies may have fields that there are not: the
   * Admin API lets that be, as APISIX does.
   */
  held?: SourceDocument | undefined
}

export interface CheckResult {
  /** Absent when any finding is an error. */
  plan?: Plan
  /** What the plan was made from. */
  configuration?: Configuration
  /** Errors first, then by file and line. */
  findings: Finding[]
  /** Where the configuration of policies refers to secrets. */
  secretUses?: readonly SecretUse[]
  /** The document of what the gateway holds itself. */
  held?: SourceDocument
  /** Of the files that were read. */
  digests?: ReadonlyMap<string, string>
}

/** What the files say about the gateway itself, without a look at their resources; undefined: it is not sound. */
export function settingsOf(loaded: Loaded, gatewayVersion: string): Settings | undefined {
  const report = new Report(loaded.findings)
  const sections = readSections(loaded.documents, report)
  const settings = readSettings(sections, sourcesOf(loaded, gatewayVersion), report)
  return hasErrors(report.finish()) ? undefined : settings
}

const sourcesOf = ({ adminKey, settings }: Loaded, version: string): SettingsSources => ({
  version,
  adminKey,
  ...(settings !== undefined && { given: settings }),
})

export function check(loaded: Loaded, catalogue: Catalogue, options: CheckOptions): CheckResult {
  const report = new Report(loaded.findings)
  const sections = readSections(loaded.documents, report)
  const settings = readSettings(sections, sourcesOf(loaded, options.gatewayVersion), report)
  if (settings !== undefined) {
    settings.policies = loaded.policies ?? []
    settings.functions = { ...settings.functions, modules: loaded.functions ?? [] }
  }
  const { held } = options
  if (held !== undefined) {
    report.tolerate(held, [...tolerated, 'unknown-function'])
    addSections(held, sections, report)
  }
  const zones = zonePlaces(settings?.cache.zones ?? defaultZones)
  const policies = new PolicyCheck(catalogue, zones, report, (command, document) =>
    // Whoever may write resources need not be trusted with the rights of the gateway.
    document === held || document.startsNothing ? false : settings?.commands.includes(command) === true,
  )
  const kept = readCertificates(sections, report)
  const declarations = readDeclarations(sections, policies, report)
  policies.checkLacks((name) => declarations.plugin_metadata.get(name)?.input)
  checkReferences(declarations, policies, catalogue, report)
  checkDiscovery(declarations, policies.upstreams, settings, report)
  const secretUses = [...policies.secrets, ...certificateSecrets(declarations)]
  checkSecrets(
    secretUses,
    declarations.secrets,
    { env: loaded.env, unresolved: settings?.secrets.unresolved ?? 'refuse' },
    report,
  )
  checkTls(declarations, settings, report)
  const routes = activeRoutes(declarations)
  checkReachability(routes, settings?.router, report)

  const findings = report.finish()
  if (settings === undefined || hasErrors(findings)) return { findings }
  const plan: Plan = {
    version: options.planVersion ?? 1,
    settings,
    routes: new Map(routes.map(({ route }) => [route.id, route])),
    stream_routes: activeStreamRoutes(declarations),
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
    service_registries: convert(declarations.service_registries, serviceRegistrySpec),
    ssls: convert(declarations.ssls, (id, input) => (input.status === 0 ? undefined : sslSpec(id, input))),
    secrets: convert(declarations.secrets, secretManagerSpec),
  }
  addPolicyUpstreams(plan, catalogue)
  const { digests } = loaded
  return {
    plan,
    ...(options.planOnly !== true && {
      configuration: new Configuration(declarations, held, catalogue, kept),
    }),
    findings,
    secretUses,
    ...(held && { held }),
    ...(digests && { digests }),
  }
}

/** What the Admin API lets be, as APISIX does. At what several resources say together it looks itself. */
const tolerated: readonly FindingCode[] = [
  'conflicting-shared-state',
  'dangling-reference',
  'duplicate-contract',
  'duplicate-sni',
  'ignored-field',
  'mismatched-certificate',
  'missing-metadata',
  'missing-variable',
  'route-without-upstream',
  'unknown-field',
  'unknown-balancing',
  'unknown-registry',
  'unknown-tier',
  'unreachable-route',
  'unresolved-secret',
  'wrong-protocol',
]

/**
 * One resource on its own, by the rules for what the gateway holds: what is sound here is sound at every start. `item`
 * carries its id; the path of a finding begins at the resource. `zones` are those of the running gateway.
 */
export function checkHeld(
  kind: ResourceKind,
  item: Record<string, unknown>,
  catalogue: Catalogue,
  zones: ZonePlaces,
): { input?: object } | { finding: Finding } {
  const document: SourceDocument = {
    file: '',
    value: { [kind]: [item] },
    locate: (wanted) => wanted.map(() => undefined),
  }
  const report = new Report([])
  report.tolerate(document, tolerated)
  const sections = readSections([document], report)
  const policies = new PolicyCheck(catalogue, zones, report)
  const declarations = readDeclarations(sections, policies, report)
  checkReferences(declarations, policies, catalogue, report)
  const finding = report.finish().find(({ severity }) => severity === 'error')
  if (finding !== undefined)
    return { finding: { ...finding, path: finding.path.replace(/^\w+\[0\]\.?/, '') } }
  for (const { input } of declarations[kind].values()) return input === undefined ? {} : { input }
  return {}
}

/** What certificates and settings say only together. */
function checkTls(declarations: Declarations, settings: Settings | undefined, report: Report): void {
  if (settings === undefined) return
  const shown = [...declarations.ssls.values()].find(
    ({ input }) => input !== undefined && input.status !== 0 && (input.type ?? 'server') === 'server',
  )
  if (
    shown !== undefined &&
    settings.listeners.every(({ protocol }) => protocol !== 'https' && protocol !== 'tls')
  ) {
    report.add(shown.place, {
      code: 'certificate-without-listener',
      severity: 'warning',
      message: 'no listener speaks TLS, so that no client ever sees a certificate',
      hint: 'Add one to gateway.listeners: { protocol: https, port: 9443 }.',
    })
  }
  const { verify } = settings.upstream_tls
  if (verify === true) return
  const { upstreams, services, routes, stream_routes: streamRoutes } = declarations
  const unverified = [
    ...[...upstreams.values()].map(({ input, place }) => ({ upstream: input, place })),
    ...[...services.values(), ...routes.values(), ...streamRoutes.values()].map(({ input, place }) => ({
      upstream: input?.upstream,
      place: below(place, 'upstream'),
    })),
  ].filter(
    ({ upstream }) =>
      (upstream?.scheme === 'https' || upstream?.scheme === 'tls') &&
      (verify === 'never' ||
        (upstream.tls_verify ?? upstream.tls?.verify ?? upstream.ca_certificates) === undefined),
  )
  const [first] = unverified
  if (first === undefined) return
  report.add(below(first.place, 'scheme'), {
    code: 'unverified-upstream',
    severity: 'warning',
    message: `nobody looks at the certificate of the nodes, as in APISIX; so it is with ${unverified.length} upstreams`,
    hint: 'Set gateway.upstream_tls.verify to true, and name their authority in gateway.upstream_tls.ca.',
  })
}

/** References to secrets in certificates. */
function certificateSecrets({ ssls }: Declarations): SecretUse[] {
  return [...ssls.values()].flatMap(({ input, place }) => {
    if (input === undefined || place.document.holdsReferences === false) return []
    const config = input as PluginConfig
    return [...secretReferencesIn(input)].map(({ text, path }) => ({
      text,
      place: below(place, ...path),
      config,
    }))
  })
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

/** Those that are in use, with their places among all. */
function activeStreamRoutes({ stream_routes: routes, services }: Declarations): Map<string, StreamRouteSpec> {
  const active = new Map<string, StreamRouteSpec>()
  for (const [position, { id, input }] of [...routes.values()].entries()) {
    const service =
      input?.service_id === undefined ? undefined : services.get(String(input.service_id))?.input
    const spec = input && service?.status !== 0 ? streamRouteSpec(id, input, position) : undefined
    if (spec !== undefined) active.set(id, spec)
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
  specOf: (id: string, input: Input) => Spec | undefined,
): Map<string, Spec> {
  const specs = new Map<string, Spec>()
  for (const { id, input } of declared.values()) {
    const spec = input && specOf(id, input)
    if (spec !== undefined) specs.set(id, spec)
  }
  return specs
}
