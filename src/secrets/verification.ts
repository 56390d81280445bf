/** A configuration that was checked, against what its secrets really are: further findings, before it is put to work. */
import { type ZonePlaces, zonePlaces } from '../config/cache-zones.ts'
import { certificateError } from '../config/certificate.ts'
import type { CheckResult } from '../config/check.ts'
import type { PluginConfig } from '../config/plan.ts'
import type { SecretUse } from '../config/policy-check.ts'
import { resolvedProblem } from '../config/policy-check.ts'
import { hasErrors, sortFindings } from '../config/problem.ts'
import { Report } from '../config/report.ts'
import type { SslInput } from '../config/resources.ts'
import { parseSecretReference, replaceSecretReferences } from '../config/secret-reference.ts'
import type { Resolution, SecretReader } from './reader.ts'

/** The result with findings about secrets; without a plan when they make it unusable. */
export async function verifySecrets(result: CheckResult, reader: SecretReader): Promise<CheckResult> {
  const { plan, secretUses: uses = [], held } = result
  if (plan === undefined || uses.length === 0) return result
  reader.timeout = plan.settings.secrets.timeout
  const severity = plan.settings.secrets.unresolved === 'refuse' ? 'error' : 'warning'
  const resolutions = new Map<string, Resolution>()
  const references = [...new Set(uses.map(({ text }) => text))].map((text) => ({ text }))
  await reader.resolveAll(references, plan.secrets, ({ text }, resolution) =>
    resolutions.set(text, resolution),
  )
  const report = new Report([])
  const zones = zonePlaces(plan.settings.cache.zones)
  if (held !== undefined) report.tolerate(held, ['unresolved-secret'])
  for (const { text, place } of uses) {
    const resolution = resolutions.get(text)!
    if ('value' in resolution || isKnownAlready(text, plan.secrets)) continue
    report.add(place, {
      code: 'unresolved-secret',
      severity,
      message: `the secret cannot be read: ${resolution.failure.message}`,
    })
  }
  for (const [config, [first]] of Map.groupBy(uses, (use) => use.config)) {
    const problem = misfit(config, first!, resolutions, zones)
    if (problem !== undefined) {
      report.add(first!.place, {
        code: 'unresolved-secret',
        severity,
        message: `the secret cannot be used here: ${problem}`,
      })
    }
  }
  const findings = sortFindings([...result.findings, ...report.finish()])
  if (!hasErrors(findings)) return { ...result, findings }
  const { plan: _, configuration: _configuration, ...rest } = result
  return { ...rest, findings }
}

/** What the check finds without asking a manager has its finding. */
function isKnownAlready(text: string, managers: ReadonlyMap<string, unknown>): boolean {
  const reference = parseSecretReference(text)
  return 'problem' in reference || reference.kind === 'environment' || !managers.has(reference.manager)
}

function misfit(
  config: PluginConfig,
  { policy, part }: SecretUse,
  resolutions: ReadonlyMap<string, Resolution>,
  zones: ZonePlaces,
): string | undefined {
  let complete = true
  const resolved = replaceSecretReferences(config, (text) => {
    const resolution = resolutions.get(text)
    if (resolution !== undefined && 'value' in resolution) return resolution.value
    complete = false
    return ''
  }) as PluginConfig
  if (!complete) return undefined
  if (policy === undefined || part === undefined) return certificateError(resolved as SslInput)
  return resolvedProblem(policy, part, resolved, zones)
}
