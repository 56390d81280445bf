/**
 * What is wrong with a configuration, or worth knowing about it. A finding has a stable code, a place and a next step;
 * it never holds a value of the configuration, because any value may be a secret.
 */

export type Severity = 'error' | 'warning' | 'info'

/** Every code with what it means. Codes are stable: a retired one is not used again. */
export const findingCodes = {
  'file-not-found': 'A file or folder that was named does not exist.',
  'file-unreadable': 'A file or folder could not be read.',
  'no-configuration': 'Nothing was found to read.',
  syntax: 'A file is not well-formed YAML or JSON.',
  'duplicate-key': 'A map has the same key twice.',
  'forbidden-key': 'A key that could not be handled safely, such as `__proto__`.',
  'missing-variable': 'A reference names an environment variable that is not set.',
  'unresolved-secret': 'A reference to a secret that leads to none, or to one that does not fit its field.',
  'unsupported-dialect': 'A document in a dialect that this version does not read yet.',
  'unsupported-resource': 'A kind of resource that this version does not support yet, or not in files.',
  'unsupported-field': 'A field that this version does not support yet.',
  'unsupported-value': 'A value that this version does not support yet.',
  'unknown-field': 'A field that does not exist.',
  'missing-field': 'A field that is required is absent.',
  'conflicting-fields': 'Fields that exclude each other are both set.',
  'wrong-type': 'A value of another type than the field takes.',
  'invalid-value': 'A value of the right type that the field does not take.',
  'invalid-policy': 'A module that `gateway.policies` leads to cannot be loaded, or is no policy.',
  'invalid-function': 'A module with functions for policies cannot be loaded.',
  'too-many-versions':
    'Code cannot be loaded once more, because too many older versions of it are in memory.',
  'invalid-proto': 'A definition of gRPC messages that cannot be read.',
  'unknown-function': 'A function that does not exist, or that may not be named in this place.',
  'unknown-policy': 'A plugin name that is not in the catalogue.',
  'duplicate-id': 'Two resources of one kind share an id.',
  'duplicate-credential': 'Two consumers share a credential, so that a caller could not be told apart.',
  'duplicate-contract': 'A consumer has two contracts for the same API.',
  'duplicate-global-plugin': 'Two global rules hold the same plugin.',
  'conflicting-shared-state': 'Uses of a policy that share one state are configured differently.',
  'unknown-setting': 'An environment variable that looks like a setting and sets nothing.',
  'duplicate-setting': 'A setting of the gateway is given twice.',
  'unsafe-admin-key': 'A key of the Admin API that is published, too short, or given twice.',
  'admin-without-key': 'The Admin API asks for no key.',
  'wrong-protocol': 'What stands there, or is referred to, is for another kind of traffic.',
  'duplicate-listener': 'Two listeners take the same port.',
  'dangling-reference': 'A reference to a resource that does not exist.',
  'route-without-upstream': 'A route that leads nowhere.',
  'unreachable-route': 'A route that can never match, because others take every request before it.',
  'invalid-certificate': 'A text that is no certificate, or no private key, or one without the other.',
  'mismatched-certificate': 'A private key that does not belong to its certificate.',
  'certificate-not-valid': 'A certificate that has expired, or is valid only later.',
  'certificate-without-listener': 'Certificates for clients, and no listener that speaks TLS.',
  'duplicate-sni': 'Two certificates are for the same name; one of them is never shown.',
  'unverified-upstream': 'An upstream whose certificate is not looked at.',
  'unknown-tier': 'A contract names a tier that the SLA policy of its API does not have.',
  'unknown-variable': 'A variable that does not exist, and so never has a value.',
  'unknown-balancing': 'A way to choose among nodes that there is not.',
  'empty-upstream': 'An upstream without a node that takes traffic.',
  'unknown-registry': 'A service whose registry is not set up, or does not have such names.',
  'missing-metadata': 'A policy needs a value that neither its configuration nor its metadata has.',
  'used-setting':
    "A setting that does not come from `gateway:` of a file: of APISIX's own configuration file, or of the environment.",
  'ignored-field': 'A field that has no effect here.',
} as const

export type FindingCode = keyof typeof findingCodes

export interface Finding {
  code: FindingCode
  severity: Severity
  /** As it was named on the command line or found in a folder. */
  file?: string
  /** From 1. */
  line?: number
  /** From 1. */
  column?: number
  /** Where in its document, as `routes[3].plugins.cors.allow_origins`; empty for the document itself. */
  path: string
  message: string
  /** What to do about it. */
  hint?: string
}

export type PathSegment = string | number

export function formatPath(segments: readonly PathSegment[]): string {
  let text = ''
  for (const segment of segments) {
    if (typeof segment === 'number') text += `[${segment}]`
    else if (/^[\w-]+$/.test(segment)) text += text === '' ? segment : `.${segment}`
    else text += `[${JSON.stringify(segment)}]`
  }
  return text
}

export const hasErrors = (findings: readonly Finding[]): boolean =>
  findings.some((finding) => finding.severity === 'error')

/** One finding as text: place, severity, code, path and message on the first line, the hint on a second. */
export function formatFinding(finding: Finding): string {
  const position = finding.line === undefined ? '' : `:${finding.line}:${finding.column ?? 1}`
  const place = finding.file === undefined ? '' : `${finding.file}${position}: `
  const path = finding.path === '' ? '' : `${finding.path}: `
  const hint = finding.hint === undefined ? '' : `\n    ${finding.hint}`
  return `${place}${finding.severity} ${finding.code}: ${path}${finding.message}${hint}\n`
}

const order: Record<Severity, number> = { error: 0, warning: 1, info: 2 }

/** Errors first, then in the order of the files and their lines. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  return findings.toSorted(
    (a, b) =>
      order[a.severity] - order[b.severity] ||
      (a.file ?? '').localeCompare(b.file ?? '') ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0),
  )
}
