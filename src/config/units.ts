/** Durations and sizes as people write them: `250ms`, `10s`, `5m`, `32KiB`. */

export const durationPattern = /^(0|\d+(\.\d+)?(ms|s|m|h))$/
export const sizePattern = /^(0|\d+(B|KiB|MiB|GiB)?)$/

const milliseconds: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const bytes: Record<string, number> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** Milliseconds of a text that matches `durationPattern`. */
export function parseDuration(text: string): number {
  const unit = text.replace(/^[\d.]+/, '')
  return Math.round(Number.parseFloat(text) * (milliseconds[unit] ?? 1))
}

/** Bytes of a number, or of a text that matches `sizePattern`. */
export function parseSize(size: string | number): number {
  if (typeof size === 'number') return size
  const unit = size.replace(/^\d+/, '')
  return Number.parseInt(size, 10) * (bytes[unit] ?? 1)
}
