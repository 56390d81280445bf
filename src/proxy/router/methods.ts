/** Sets of request methods as bits, so that a route's methods take one comparison. */

import { methods as known } from '../../config/methods.ts'

/** Methods that a route may name. */
export const routeMethods: readonly string[] = known

const ANY = -1

/** Bits of a route's methods; none named means any, also one that no route may name. Throws on an unknown name. */
export function methodMask(methods: readonly string[]): number {
  if (methods.length === 0) return ANY
  let mask = 0
  for (const method of methods) {
    if (!routeMethods.includes(method)) throw new RangeError(`unknown method ${method}`)
    mask |= methodBit(method)
  }
  return mask
}

/** A request's method; one that no route may name has the sign bit, which only `ANY` has too. */
export function methodBit(method: string): number {
  return 1 << routeMethods.indexOf(method)
}
