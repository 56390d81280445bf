/** Why the gateway answered by itself: who caused it, and what it was. Codes are stable. */
import { errors } from './errors.ts'
import type { Exchange } from './exchange.ts'
import { headerName } from './headers.ts'

export interface Cause {
  /** `policy`: a policy answered, whose name is the code. */
  readonly source: 'client' | 'policy' | 'gateway' | 'upstream'
  readonly code: string
}

export const causeField = headerName('X-Sluice-Cause')

const sources: ReadonlyMap<string, Cause['source']> = new Map(
  Object.values(errors).map(({ code, source }) => [code, source]),
)

/** Undefined: the answer is the upstream's, or there is none yet. */
export function causeOf({ errorCode, rejectedBy }: Exchange): Cause | undefined {
  if (errorCode !== '') return { source: sources.get(errorCode) ?? 'gateway', code: errorCode }
  return rejectedBy === '' ? undefined : { source: 'policy', code: rejectedBy }
}

/** The field for an answer without an exchange. */
export function causeLine({ source, code }: Cause): string {
  return `${causeField.text}: ${source} ${code}\r\n`
}

/** Counts answers of the gateway's own. */
export type CauseCounter = (cause: Cause) => void
