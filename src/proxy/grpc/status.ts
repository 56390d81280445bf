/** Statuses of gRPC, and what statuses of HTTP come to among them. */
import type { RetriableGrpcStatus } from '../../config/plan.ts'

export const grpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const

/**
 * The mapping that clients of gRPC apply themselves (`http-grpc-status-mapping`), but for what the gateway knows better
 * than they can: a limit that was reached, and a time that was over.
 */
const byHttpStatus: Readonly<Record<number, number>> = {
  400: grpcStatus.internal,
  401: grpcStatus.unauthenticated,
  403: grpcStatus.permissionDenied,
  404: grpcStatus.unimplemented,
  408: grpcStatus.deadlineExceeded,
  413: grpcStatus.resourceExhausted,
  429: grpcStatus.resourceExhausted,
  499: grpcStatus.cancelled,
  502: grpcStatus.unavailable,
  503: grpcStatus.unavailable,
  504: grpcStatus.deadlineExceeded,
}

const retriable: Readonly<Record<RetriableGrpcStatus, number>> = {
  cancelled: grpcStatus.cancelled,
  'deadline-exceeded': grpcStatus.deadlineExceeded,
  'resource-exhausted': grpcStatus.resourceExhausted,
  internal: grpcStatus.internal,
  unavailable: grpcStatus.unavailable,
}

/** As they stand in `grpc-status`. */
export const retriedStatuses = (names: readonly RetriableGrpcStatus[]): ReadonlySet<string> =>
  new Set(names.map((name) => String(retriable[name])))

export function grpcStatusOf(httpStatus: number): number {
  return byHttpStatus[httpStatus] ?? grpcStatus.unknown
}

/** A text as `grpc-message` carries it: one character a byte goes in, visible ASCII comes out. */
export function percentEncoded(bytes: string): string {
  return bytes.replace(
    /[^ -$&-~]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
}

/** Whether a Content-Type says that a request is a call of gRPC; gRPC-Web is something else. */
export function isGrpcType(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/grpc(?:$|[+; \t])/i.test(contentType)
}
