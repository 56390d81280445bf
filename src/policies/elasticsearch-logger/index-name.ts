import type { Exchange } from '../kit/index.ts'

/** `{...}` that is not the name of a variable. */
const timeFormat = /(?<!\$)\{([^}]*)\}/g

/** The name of an index with variables, and formats of time in braces, which mean the time of the entry. */
export function indexName(
  text: string,
  template: (text: string) => (exchange: Exchange) => string,
  now: () => number,
): (exchange: Exchange) => string {
  const fill = template(text.replace(timeFormat, ''))
  if (!timeFormat.test(text)) return fill
  timeFormat.lastIndex = 0
  const pieces = text.split(timeFormat)
  const texts = pieces.map((piece, at) =>
    at % 2 === 0 ? template(piece) : () => formatTime(piece, new Date(now())),
  )
  return (exchange) => texts.map((piece) => piece(exchange)).join('')
}

const two = (value: number) => String(value).padStart(2, '0')

/** What of strftime names of indices are made of; in local time, or in UTC after `!`, as in Lua. */
const parts: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => String(date.getFullYear()),
  y: (date) => two(date.getFullYear() % 100),
  m: (date) => two(date.getMonth() + 1),
  d: (date) => two(date.getDate()),
  H: (date) => two(date.getHours()),
  M: (date) => two(date.getMinutes()),
  S: (date) => two(date.getSeconds()),
  F: (date) => `${parts.Y!(date)}-${parts.m!(date)}-${parts.d!(date)}`,
  T: (date) => `${parts.H!(date)}:${parts.M!(date)}:${parts.S!(date)}`,
  j: (date) => String(dayOfYear(date)).padStart(3, '0'),
  s: (date) => String(Math.floor(date.getTime() / 1000)),
  '%': () => '%',
}

/** What is no part that is known is left out. */
export function formatTime(format: string, date: Date): string {
  const isUtc = format.startsWith('!')
  const local = isUtc ? new Date(date.getTime() + date.getTimezoneOffset() * 60_000) : date
  return format.slice(isUtc ? 1 : 0).replace(/%(.)/g, (_, part: string) => parts[part]?.(local) ?? '')
}

function dayOfYear(date: Date): number {
  const day = Date.UTC(date.getFullYear(), date.getMonth(), date.getDate())
  return (day - Date.UTC(date.getFullYear(), 0, 0)) / 86_400_000
}
