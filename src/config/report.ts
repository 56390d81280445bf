import type { SourceDocument } from './load.ts'
import {
  type Finding,
  type FindingCode,
  formatPath,
  type PathSegment,
  type Severity,
  sortFindings,
} from './problem.ts'

/** A place in a document. */
export interface Place {
  document: SourceDocument
  path: readonly PathSegment[]
}

export interface ReportEntry {
  code: FindingCode
  /** Default: error. */
  severity?: Severity
  /** Whether the key or the value at the path is meant. Default: value. */
  at?: 'key' | 'value'
  message: string
  hint?: string | undefined
}

/** A place below another. */
export const below = (place: Place, ...path: PathSegment[]): Place => ({
  document: place.document,
  path: [...place.path, ...path],
})

/** `routes[3] of a.yaml`, for messages that speak of another place. */
export const describePlace = ({ document, path }: Place): string => `${formatPath(path)} in ${document.file}`

/** Collects findings. Positions are looked up at the end, once per document, and not at all when nothing was found. */
export class Report {
  readonly #findings: Finding[]
  readonly #placed: { place: Place; entry: ReportEntry }[] = []
  readonly #tolerated = new Map<SourceDocument, readonly FindingCode[]>()

  constructor(findings: readonly Finding[]) {
    this.#findings = [...findings]
  }

  add(place: Place, entry: ReportEntry): void {
    this.#placed.push({ place, entry })
  }

  /** Errors of these codes are warnings in this document. */
  tolerate(document: SourceDocument, codes: readonly FindingCode[]): void {
    this.#tolerated.set(document, codes)
  }

  tolerates({ document }: Place, code: FindingCode): boolean {
    return this.#tolerated.get(document)?.includes(code) === true
  }

  /** For what may come from elsewhere than a document, such as the environment. */
  addUnplaced(place: Place | undefined, { severity = 'error', at: _, hint, ...entry }: ReportEntry): void {
    if (place !== undefined) this.add(place, { severity, hint, ...entry })
    else this.#findings.push({ ...entry, severity, path: '', ...(hint !== undefined && { hint }) })
  }

  /** Every finding, errors first, then by file and line. */
  finish(): Finding[] {
    // A reference that could not be expanded is one finding, not also whatever its text would be here.
    const unexpanded = new Set(
      this.#findings
        .filter(({ code }) => code === 'missing-variable')
        .map(({ file, path }) => `${file} ${path}`),
    )
    const placed = this.#placed.filter(
      ({ place }) =>
        unexpanded.size === 0 || !unexpanded.has(`${place.document.file} ${formatPath(place.path)}`),
    )
    const byDocument = Map.groupBy(placed, ({ place }) => place.document)
    for (const [document, entries] of byDocument) {
      const positions = document.locate(
        entries.map(({ place, entry }) => ({ path: place.path, at: entry.at ?? 'value' })),
      )
      entries.forEach(({ place, entry }, index) => {
        this.#findings.push({
          code: entry.code,
          severity: this.#severity(document, entry),
          file: document.file,
          path: formatPath(place.path),
          ...positions[index],
          message: entry.message,
          ...(entry.hint !== undefined && { hint: entry.hint }),
        })
      })
    }
    return sortFindings(this.#findings)
  }

  #severity(document: SourceDocument, { code, severity = 'error' }: ReportEntry): Severity {
    const tolerated = severity === 'error' && this.#tolerated.get(document)?.includes(code) === true
    return tolerated ? 'warning' : severity
  }
}
