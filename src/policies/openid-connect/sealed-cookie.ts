import type { Seal } from './seal.ts'

export interface CookieOptions {
  readonly name: string
  readonly seal: Seal
  readonly path: string
  readonly domain: string | undefined
  readonly httpOnly: boolean
  readonly sameSite: string | undefined
}

/** Bytes of one cookie, and how many of them a value is spread over. */
const piece = 3800
const mostPieces = 8

/** A sealed value. What is too long for one cookie goes on in `NAME_2` and so on. */
export class SealedCookie {
  readonly #options: CookieOptions
  readonly #names: readonly string[]

  constructor(options: CookieOptions) {
    this.#options = options
    this.#names = Array.from({ length: mostPieces }, (_, index) =>
      index === 0 ? options.name : `${options.name}_${index + 1}`,
    )
  }

  /** @param cookies the Cookie field. Undefined: there is none, or it was made by someone else. */
  read(cookies: string | undefined): unknown {
    if (cookies === undefined) return undefined
    const values = new Map<string, string>()
    for (const pair of cookies.split(/[;,]/)) {
      const equals = pair.indexOf('=')
      if (equals !== -1) values.set(pair.slice(0, equals).trim(), pair.slice(equals + 1).trim())
    }
    let text = ''
    for (const name of this.#names) {
      const value = values.get(name)
      if (value === undefined) break
      text += value
      if (value.length < piece) break
    }
    return text === '' ? undefined : this.#options.seal.open(text)
  }

  /** Lines of Set-Cookie. Undefined: the value is too long. */
  lines(value: unknown, isSecure: boolean): string[] | undefined {
    const text = this.#options.seal.close(value)
    if (text.length >= piece * mostPieces) return undefined
    const lines: string[] = []
    for (let at = 0; at <= text.length; at += piece) {
      lines.push(this.#line(this.#names[lines.length]!, text.slice(at, at + piece), isSecure))
    }
    return lines
  }

  /** Lines that take the cookies away. */
  gone(cookies: string | undefined, isSecure: boolean): string[] {
    return this.#names
      .filter((name, index) => index === 0 || cookies?.includes(`${name}=`))
      .map((name) => `${this.#line(name, '', isSecure)}; Max-Age=0`)
  }

  #line(name: string, value: string, isSecure: boolean): string {
    const { path, domain, httpOnly, sameSite } = this.#options
    let line = `${name}=${value}; Path=${path}`
    if (domain !== undefined) line += `; Domain=${domain}`
    if (sameSite !== undefined) line += `; SameSite=${sameSite}`
    if (isSecure) line += '; Secure'
    return httpOnly ? `${line}; HttpOnly` : line
  }
}
