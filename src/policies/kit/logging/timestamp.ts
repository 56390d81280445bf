let second = Number.NaN
let prefix = ''

/** Epoch milliseconds as ISO 8601 in UTC. Only the first line of a second makes a `Date`. */
export function timestamp(epochMs: number): string {
  const whole = Math.floor(epochMs / 1000)
  if (whole !== second) {
    second = whole
    prefix = new Date(whole * 1000).toISOString().slice(0, -4)
  }
  const ms = Math.floor(epochMs - whole * 1000)
  return `${prefix}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`
}
