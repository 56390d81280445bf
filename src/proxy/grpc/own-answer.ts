/**
 * Answers of the gateway's own to calls of gRPC: a head that is also the trailer section ("Trailers-Only"), with HTTP
 * status 200, because clients of gRPC look at nothing else.
 */
import { reasonPhrase } from '../errors.ts'
import type { AnswerContent } from '../http1/own-answer.ts'
import { grpcStatusOf, percentEncoded } from './status.ts'

/** Characters of a message: it travels in a field. */
const longestMessage = 1024

/** @param body of what a client that speaks HTTP would get @returns complete field lines */
export function statusLines(httpStatus: number, content: AnswerContent): string {
  const message = messageOf(content) ?? `${httpStatus} ${reasonPhrase(httpStatus)}`
  const text = percentEncoded(message.slice(0, longestMessage))
  return `grpc-status: ${grpcStatusOf(httpStatus)}\r\ngrpc-message: ${text}\r\n`
}

export const callContent: AnswerContent = { contentType: 'application/grpc', body: '' }

/** What a body says in words; null: nothing that could stand in a line. */
function messageOf({ contentType, body }: AnswerContent): string | null {
  if (contentType.startsWith('application/json')) return memberOf(body)
  const text = body.trim()
  return contentType.startsWith('text/plain') && text !== '' ? (memberOf(text) ?? text) : null
}

/** The message of a body in JSON, one character a byte, under the names that policies give it. */
function memberOf(body: string): string | null {
  try {
    const { message, error_msg: error } = JSON.parse(body) as { message?: unknown; error_msg?: unknown }
    const text = message ?? error
    return typeof text === 'string' ? text : null
  } catch {
    return null
  }
}
