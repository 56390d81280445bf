/**
 * Documents -> a plan, or everything that is wrong with them. Nothing stops at the first finding: what is missing or
 * broken is left out of the checks that would need it, so that one mistake gives one finding.
 */
import { defaultZones, type ZonePlaces, zonePlaces } from './cache-zones.ts'
import { readCertificates } from './certificate-items.ts'
import { Configuration } from './configuration.ts'
import { type Declarations, type Declared, type Inputs, readDeclarations } from './declarations.ts'
import { checkDiscovery } from './discovery-check.ts'
import { addSections, readSections } from './documents.ts'
import type { Loaded, SourceDocument } from './load.ts'
import {
  isEncrypted,
  type Plan,
  type PluginConfig,
  type ResourceKind,
  resourceKinds,
  speaksHttp2,
} from './plan.ts'
import { type Catalogue, PolicyCheck, type SecretUse } from './policy-check.ts'
import { addPolicyUpstreams } from './policy-upstreams.ts'
import { type Finding, type FindingCode, hasErrors } from './problem.ts'
import { checkReachability } from './reachability.ts'
import { checkReferences } from './references.ts'
import { below, type Place, Report } from './report.ts'
import { type InputSource, specOf } from './resource-spec.ts'
import { checkSecrets } from './secret-check.ts'
import { secretReferencesIn } from './secret-reference.ts'
import type { Settings } from './settings.ts'
import { readSettings, type SettingsSources } from './settings-check.ts'

type Specs = Pick<Plan, ResourceKind>

export type { Catalogue, PolicySchema } from './policy-check.ts'

export interface CheckOptions {
  /** Of the gateway itself, for its `Server` field. */
  gatewayVersion: string
  /** Of the plan. Default: 1. */
  planVersion?: number
  /** Default: those of the settings. */
  zones?: ZonePlaces
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
  const sections = readSections(loaded.documents, report, loaded.env)
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
  const sections = readSections(loaded.documents, report, loaded.env)
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
  const zones = options.zones ?? zonePlaces(settings?.cache.zones ?? defaultZones)
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
  checkListenerCertificates(declarations, settings, sections.gateways, report)
  checkTls(declarations, settings, report)
  checkWebSockets(declarations, report)
  const specs = specsOf(declarations)
  const routes = Array.from(specs.routes, ([id, route]) => ({
    route,
    declared: declarations.routes.get(id)!,
  }))
  checkReachability(routes, settings?.router, report)

  const findings = report.finish()
  if (settings === undefined || hasErrors(findings)) return { findings }
  const plan: Plan = {
    version: options.planVersion ?? 1,
    settings,
    ...specs,
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
  'invalid-proto',
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

/** Certificates that listeners name. */
function checkListenerCertificates(
  { ssls }: Declarations,
  settings: Settings | undefined,
  gateways: readonly Place[],
  report: Report,
): void {
  for (const [index, { ssl }] of settings?.listeners.entries() ?? []) {
    const found = ssl === undefined ? undefined : ssls.get(ssl)
    // What is wrong with one that is there was told already.
    if (ssl === undefined || (found !== undefined && (found.input?.type ?? 'server') === 'server')) continue
    const [place] = gateways
    report.addUnplaced(place && below(place, 'listeners', index, 'ssl'), {
      code: 'dangling-reference',
      message: `there is no certificate ${ssl} for clients`,
      hint: 'Name the id of one of ssls.',
    })
  }
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
      isEncrypted(upstream?.scheme ?? 'http') &&
      (verify === 'never' ||
        (upstream?.tls_verify ?? upstream?.tls?.verify ?? upstream?.ca_certificates) === undefined),
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

/** A WebSocket is forwarded as an upgrade of HTTP/1.1, which an upstream of HTTP/2 does not know. */
function checkWebSockets({ routes, services, upstreams }: Declarations, report: Report): void {
  for (const { input, place } of routes.values()) {
    if (input?.enable_websocket !== true) continue
    const service = input.service_id === undefined ? undefined : services.get(String(input.service_id))?.input
    const id = input.upstream_id ?? (input.upstream === undefined ? service?.upstream_id : undefined)
    const upstream =
      input.upstream ?? (id === undefined ? service?.upstream : upstreams.get(String(id))?.input)
    const scheme = upstream?.scheme ?? 'http'
    if (!speaksHttp2(scheme)) continue
    report.add(below(place, 'enable_websocket'), {
      code: 'wrong-protocol',
      severity: 'warning',
      message: `its upstream has scheme: ${scheme}, over which WebSockets are not forwarded: who asks for one gets the answer to an ordinary request`,
      hint: 'Give WebSockets an upstream of their own, with scheme: http or https.',
    })
  }
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

/** Everything that is declared, and is in use. */
function specsOf(declarations: Declarations): Specs {
  const positions = new Map([...declarations.stream_routes.keys()].map((id, position) => [id, position]))
  const source: InputSource = {
    whole: (kind, id) => (declarations[kind] as Map<string, Declared<Inputs[typeof kind]>>).get(id)?.input,
    position: (id) => positions.get(id) ?? 0,
  }
  const kinds = resourceKinds.map((kind) => {
    const specs = new Map<string, object>()
    for (const id of declarations[kind].keys()) {
      const spec = specOf(kind, id, source)
      if (spec !== undefined) specs.set(id, spec)
    }
    return [kind, specs]
  })
  return Object.fromEntries(kinds) as Specs
}
