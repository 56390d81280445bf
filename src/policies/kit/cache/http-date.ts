const imf = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT$/i
const rfc850 =
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d):(\d\d):(\d\d) GMT$/i
const asctime = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) (\d{4})$/i
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** Milliseconds of one of the three forms of RFC 9110 5.6.7, in whatever case; undefined: it is none of them. */
export function parseHttpDate(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  let match = imf.exec(text)
  if (match !== null) {
    const [, day, month, year, ...time] = match
    return at(Number(year), month!, day!, time)
  }
  match = rfc850.exec(text)
  if (match !== null) {
    const [, day, month, digits, ...time] = match
    const year = 2000 + Number(digits)
    // A year that would be more than 50 years ahead is of the century before.
    return at(year > new Date().getUTCFullYear() + 50 ? year - 100 : year, month!, day!, time)
  }
  match = asctime.exec(text)
  if (match === null) return undefined
  const [, month, day, hour, minute, second, year] = match
  return at(Number(year), month!, day!, [hour!, minute!, second!])
}

function at(year: number, name: string, day: string, time: readonly string[]): number | undefined {
  const month = months.findIndex((month) => month.toLowerCase() === name.toLowerCase())
  const [hour = 0, minute = 0, second = 0] = time.map(Number)
  if (month === -1 || hour > 23 || minute > 59 || second > 60) return undefined
  return Date.UTC(year, month, Number(day), hour, minute, second)
}
