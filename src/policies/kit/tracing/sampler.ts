/** Which traces are recorded. */

/** @param parent what the caller decided; undefined: nothing */
export type Sampler = (traceId: string, parent: boolean | undefined) => boolean

export const alwaysOn: Sampler = () => true
export const alwaysOff: Sampler = () => false

/** That share of traces, told by the id, so that everybody who looks at the same trace decides alike. */
export function traceIdRatio(fraction: number): Sampler {
  return (traceId) => shareOf(traceId) < fraction
}

/** As the caller decided; where none did, `root` decides. */
export function parentBased(root: Sampler): Sampler {
  return (traceId, parent) => parent ?? root(traceId, undefined)
}

/** From 0 up to 1, out of the last digits, which are the random ones wherever the id comes from. */
function shareOf(traceId: string): number {
  return Number.parseInt(traceId.slice(-13), 16) / 2 ** 52
}
