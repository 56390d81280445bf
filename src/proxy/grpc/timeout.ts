/** How long whoever makes a call waits for its end. */
import type { Exchange } from '../exchange.ts'

/** At most eight digits and a unit (gRPC over HTTP/2, "Timeout"). */
const form = /^(\d{1,8})([HMSmun])$/

const milliseconds: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
}

/** Milliseconds that `grpc-timeout` of the upstream's copy leaves; infinity: it does not say, or says it wrongly. */
export function callTimeout({ request }: Pick<Exchange, 'request'>): number {
  const match = form.exec(request.headers.get('grpc-timeout') ?? '')
  return match === null ? Number.POSITIVE_INFINITY : Number(match[1]) * milliseconds[match[2]!]!
}
