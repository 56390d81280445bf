/** Answers that the gateway makes itself: of policies, and for its errors. */
import { errors, type GatewayError, plainHttpPage, reasonPhrase, statusPage } from '../errors.ts'
import type { Verdict } from '../exchange.ts'
import { Parse } from './head.ts'
import type { HeaderEdits } from './header-edits.ts'

export interface AnswerContent {
  readonly contentType: string
  /** One character a byte. */
  readonly body: string
}

export function errorContent(error: GatewayError): AnswerContent {
  return verdictContent(errorVerdict(error))
}

/** What the gateway answers for an error; without a body of its own it gets the page for its status. */
export function errorVerdict(error: GatewayError): Verdict {
  const { status } = error
  if (error !== errors.plainHttp) return { status }
  return { status, body: plainHttpPage, contentType: 'text/html; charset=utf-8' }
}

export function verdictContent(verdict: Verdict): AnswerContent {
  const { body, status } = verdict
  if (body === undefined) {
    return status < 300
      ? { contentType: verdict.contentType ?? 'text/plain; charset=utf-8', body: '' }
      : { contentType: verdict.contentType ?? 'text/html; charset=utf-8', body: statusPage(status) }
  }
  const isText = typeof body === 'string'
  const text = isText ? body : `${JSON.stringify(body)}\n`
  return {
    contentType: verdict.contentType ?? (isText ? 'text/plain; charset=utf-8' : 'application/json'),
    body: Buffer.byteLength(text) === text.length ? text : Buffer.from(text).toString('latin1'),
  }
}

/** Head and body. `lines` are complete field lines, `connection` the Connection line or nothing. */
export function ownAnswer(
  status: number,
  content: AnswerContent,
  server: string,
  connection: string,
  lines: string,
  edits: HeaderEdits | null,
  withBody: boolean,
): string {
  const bodiless = status === 204 || status === 304
  let text = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\nDate: ${httpDate()}\r\n`
  if (!bodiless) {
    if (!edits?.speaksOf('content-type')) text += `Content-Type: ${content.contentType}\r\n`
    text += `Content-Length: ${content.body.length}\r\n`
  }
  if (server !== '' && !edits?.speaksOf('server')) text += `Server: ${server}\r\n`
  text += connection + lines
  if (edits !== null) text += edits.text()
  return withBody && !bodiless ? `${text}\r\n${content.body}` : `${text}\r\n`
}

/** What a client is told about a head that could not be read. */
export function parseError(code: number): GatewayError {
  switch (code) {
    case Parse.headTooLarge:
      return errors.headTooLarge
    case Parse.tooManyFields:
      return errors.tooManyFields
    case Parse.targetTooLong:
      return errors.targetTooLong
    case Parse.badVersion:
      return errors.versionNotSupported
    case Parse.unknownMethod:
      return errors.unknownMethod
    case Parse.unknownCoding:
      return errors.unknownCoding
    default:
      return errors.badRequest
  }
}

let dateSecond = 0
let dateText = ''

/** IMF-fixdate of now, made once a second (RFC 9110 5.6.7). */
export function httpDate(): string {
  const second = Math.floor(Date.now() / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    dateText = new Date(second * 1000).toUTCString()
  }
  return dateText
}
