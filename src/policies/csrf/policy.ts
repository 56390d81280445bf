import { definePolicy, openInApisix, Type } from '../kit/index.ts'
import { isGoodToken, isSame, makeToken } from './token.ts'

const harmless = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Double-submit cookies; configuration and answers of APISIX's `csrf`. */
export default definePolicy({
  name: 'csrf',
  summary: 'Refuses requests that change something and do not repeat the token of a cookie in a field.',
  details:
    'Every answer sets the cookie `name` with a signed token. A request whose method is not GET, HEAD or OPTIONS has ' +
    'to carry it in a field of that name too. A rejection is 401 with one of `no csrf token in headers`, `no csrf ' +
    'cookie`, `csrf token mismatch` and `Failed to verify the csrf token signature` as its `error_msg`.',
  stage: 'authorize',
  priority: 2980,
  config: Type.Object(
    {
      key: Type.String({ description: 'Signs the tokens.', 'x-secret': true }),
      expires: Type.Integer({
        default: 7200,
        description: 'Seconds that a token is good for; 0: for ever, as long as the browser keeps it.',
      }),
      name: Type.String({
        default: 'apisix-csrf-token',
        pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
        'x-apisix': { pattern: undefined },
        description: 'Name of the cookie and of the field.',
      }),
    },
    openInApisix,
  ),
  create({ key, expires, name }, host) {
    const field = name.toLowerCase()
    const cookie = host.variable(`cookie_${name}`)
    const refusal = (message: string) => ({ status: 401, body: { error_msg: message } })
    const noField = refusal('no csrf token in headers')
    const noCookie = refusal('no csrf cookie')
    const mismatch = refusal('csrf token mismatch')
    const invalid = refusal('Failed to verify the csrf token signature')

    return {
      request(exchange) {
        const { request } = exchange
        if (harmless.has(request.method)) return undefined
        const given = request.headers.get(field)
        if (given === undefined || given === '') return noField
        const token = cookie(exchange)
        if (token === undefined) return noCookie
        if (!isSame(given, token)) return mismatch
        return isGoodToken(token, key, expires, Math.floor(host.now() / 1000)) ? undefined : invalid
      },
      respond({ answer }) {
        const now = Math.floor(host.now() / 1000)
        const until = cookieTime(now + expires)
        answer.add('Set-Cookie', `${name}=${makeToken(key, now)};path=/;SameSite=Lax;Expires=${until}`)
      },
    }
  },
})

/** As nginx writes it: `Thu, 18-Nov-10 11:27:35 GMT`, with four digits of a year from 2038 on. */
function cookieTime(seconds: number): string {
  const [weekday, day, month, year, time] = new Date(seconds * 1000).toUTCString().split(' ')
  return `${weekday} ${day}-${month}-${Number(year) > 2037 ? year : year!.slice(2)} ${time} GMT`
}
