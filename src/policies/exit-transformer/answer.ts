/** Answers of the gateway's own, between how policies give them and how functions of the operator see them. */
import type { ExitFunction, OwnAnswer } from '../kit/functions/own-function.ts'
import { verdictOf } from '../kit/functions/phases.ts'
import type { Exchange, Verdict } from '../kit/index.ts'

export type { ExitFunction }

export function answerShown({ status, body, headers, contentType }: Verdict): OwnAnswer {
  const fields: Record<string, string | string[]> = {}
  for (const line of headers?.text.split('\r\n').slice(0, -1) ?? []) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon)
    const value = line.slice(colon + 1).trim()
    fields[name] = name in fields ? [fields[name]!, value].flat() : value
  }
  return {
    status,
    ...(body !== undefined && { body: typeof body === 'string' ? body : structuredClone(body) }),
    headers: fields,
    ...(contentType !== undefined && { contentType }),
  }
}

/**
 * @param given what a function made of the answer; nothing: it stays
 * @throws TypeError when it is no answer, InvalidHeaderError
 */
export function shapedBy(given: ReturnType<ExitFunction>, answer: Verdict, exchange: Exchange): Verdict {
  if ((given as unknown) instanceof Promise)
    throw new TypeError('a function that is asynchronous comes too late')
  if (given === undefined || given === null) return answer
  const { headers, contentType, ...rest } = given
  const fields = Object.entries(headers ?? {})
  const ofBody = fields.find(([name]) => name.toLowerCase() === 'content-type')?.[1]
  const others = Object.fromEntries(fields.filter(([name]) => name.toLowerCase() !== 'content-type'))
  const type = ofBody === undefined ? contentType : String(ofBody)
  const made = verdictOf({
    ...rest,
    ...(headers !== undefined && { headers: others as Record<string, string> }),
    ...(type !== undefined && { contentType: type }),
  })!
  // Of a field that a policy added to any answer there is one, and that is the function's.
  for (const { text } of made.headers?.names ?? []) exchange.answer.remove(text)
  if (type !== undefined) exchange.answer.set('Content-Type', type)
  return made.headers === undefined && answer.headers !== undefined
    ? { ...made, headers: answer.headers }
    : made
}
