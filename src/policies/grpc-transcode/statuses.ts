/** Statuses of gRPC as statuses of HTTP, as APISIX has them. */
const byStatus: Readonly<Record<string, number>> = {
  1: 499,
  2: 500,
  3: 400,
  4: 504,
  5: 404,
  6: 409,
  7: 403,
  8: 429,
  9: 400,
  10: 409,
  11: 400,
  12: 501,
  13: 500,
  14: 503,
  15: 500,
  16: 401,
}

/** @param status of gRPC, other than 0 */
export const httpStatusOf = (status: string): number => byStatus[status] ?? 599
