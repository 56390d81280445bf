/** Certificates, authorities and names as API7 writes them -> items of `ssls`. */
import { copy } from './copy.ts'
import type { Sections } from './documents.ts'
import { keptSchemas } from './kept-resources.ts'
import { below, describePlace, type Place, type Report } from './report.ts'
import { checkSchema } from './schema.ts'
import {
  absentInFiles,
  type CertificateKind,
  caCertificateError,
  sniError,
  sslIdOf,
  sslOf,
} from './sni-resources.ts'

/** By kind and id. */
export type KeptResources = ReadonlyMap<`${CertificateKind}/${string}`, KeptResource>

interface KeptResource extends Place {
  kind: CertificateKind
  /** With its id. */
  resource: Record<string, unknown>
}

/** @returns what was found, for those that refer to it */
export function readCertificates({ certificates, items }: Sections, report: Report): KeptResources {
  const kept = new Map<`${CertificateKind}/${string}`, KeptResource>()
  const find = (kind: string, id: string) => kept.get(`${kind as CertificateKind}/${id}`)?.resource
  for (const item of certificates) {
    const { kind, value, fallbackId } = item
    const resource = { ...copy(value), id: value.id ?? fallbackId }
    const problems = checkSchema(keptSchemas[kind], resource, { references: true })
    for (const { path, ...entry } of problems) report.add(below(item, ...path), entry)
    if (problems.length > 0) continue
    const name = `${kind}/${String(resource.id)}` as const
    const other = kept.get(name)
    if (other !== undefined) {
      report.add(below(item, 'id'), {
        code: 'duplicate-id',
        message: `another of the ${kind} has the same id, ${String(resource.id)}`,
        hint: `It is ${describePlace(other)}.`,
      })
      continue
    }
    kept.set(name, { document: item.document, path: item.path, kind, resource })
  }
  for (const { kind, resource, ...place } of kept.values()) {
    const fault =
      kind === 'snis'
        ? sniError(resource, find, absentInFiles)
        : kind === 'ca_certificates'
          ? caCertificateError(resource)
          : undefined
    const ssl = fault === undefined ? sslOf(kind, resource, find) : undefined
    if (fault !== undefined) {
      report.add(place, {
        code: kind === 'snis' ? 'dangling-reference' : 'invalid-certificate',
        message: fault,
      })
    } else if (ssl !== undefined) {
      items.ssls.push({ ...place, value: { ...ssl }, fallbackId: sslIdOf(kind, String(resource.id)) })
    }
  }
  return kept
}
