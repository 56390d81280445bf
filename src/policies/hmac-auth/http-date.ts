const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const day = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
const month = `(${months.join('|')})`
const time = '(\\d{2}):(\\d{2}):(\\d{2})'

const fixed = new RegExp(`^${day}, (\\d{2}) ${month} (\\d{4}) ${time} GMT$`)
const obsolete = new RegExp(
  `^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\\d{2})-${month}-(\\d{2}) ${time} GMT$`,
)
const asctime = new RegExp(`^${day} ${month} ([ \\d]\\d) ${time} (\\d{4})$`)

/** Epoch seconds of a date in one of the three forms of RFC 9110 5.6.7; undefined: in none of them. */
export function readHttpDate(text: string): number | undefined {
  let match = fixed.exec(text)
  if (match) return seconds(match[3]!, match[2]!, match[1]!, match.slice(4))
  match = obsolete.exec(text)
  if (match)
    return seconds(
      Number(match[3]) < 70 ? `20${match[3]}` : `19${match[3]}`,
      match[2]!,
      match[1]!,
      match.slice(4),
    )
  match = asctime.exec(text)
  if (match) return seconds(match[6]!, match[1]!, match[2]!.trim(), match.slice(3, 6))
  return undefined
}

function seconds(
  year: string,
  name: string,
  dayOfMonth: string,
  clock: readonly string[],
): number | undefined {
  const [hour, minute, second] = clock.map(Number) as [number, number, number]
  const monthIndex = months.indexOf(name)
  const date = new Date(Date.UTC(Number(year), monthIndex, Number(dayOfMonth), hour, minute, second))
  const isReal = date.getUTCMonth() === monthIndex && hour < 24 && minute < 60 && second < 61
  return isReal ? date.getTime() / 1000 : undefined
}
