import {
  authenticationMembers,
  type Expression,
  expressionProblem,
  payloadOf,
  requestScope,
  responseAttributes,
  responseScope,
  type Scope,
  textOrExpression,
  usualVocabulary,
} from '../kit/dataweave/index.ts'
import { rejection } from '../kit/flex/rejection.ts'
import {
  definePolicy,
  type Exchange,
  type HeaderName,
  headerName,
  headerNameProblem,
  Type,
} from '../kit/index.ts'

/** Bytes of a body that values may be read from. */
const largestPayload = 1024 * 1024
/** Fields that exist once: a value takes the place of the one that is there. */
const single = new Set(['access-control-allow-origin', 'content-type'])

const inAnswers = { attributes: responseAttributes, authentication: authenticationMembers, vars: [] }

const fields = (description: string) =>
  Type.Array(
    Type.Object(
      {
        key: Type.String({ minLength: 1, description: 'Name of the field.' }),
        value: Type.String({ description: 'Its value; a DataWeave expression between `#[` and `]`.' }),
      },
      { additionalProperties: false },
    ),
    { maxItems: 100, default: [], description },
  )

/** Fields for requests and answers; configuration of the Flex policy of that name. */
export default definePolicy({
  name: 'header-injection-flex',
  summary: 'Adds fields to requests and to answers, with values from expressions.',
  details:
    'Fields are added beside those that are there; `Content-Type` and `Access-Control-Allow-Origin` take the place of them. ' +
    'An expression without a value gives an empty field; one that fails is 500 with `{"error":"..."}`. One that reads ' +
    '`payload` has bodies up to 1 MiB read first, and a larger one is 413; for answers the body is not there. Unlike in the ' +
    'original, fields that frame a message (`Content-Length`, `Transfer-Encoding`, `Connection`, ...) and `Host` are refused ' +
    'in the configuration: the gateway writes them.',
  stage: 'transform',
  priority: 1006,
  config: Type.Object(
    {
      inboundHeaders: fields('For the upstream.'),
      outboundHeaders: fields('For the client.'),
    },
    { additionalProperties: false },
  ),
  validate({ inboundHeaders, outboundHeaders }) {
    if (inboundHeaders.length + outboundHeaders.length === 0) {
      return 'one of inboundHeaders and outboundHeaders needs an entry'
    }
    for (const [list, vocabulary, entries] of [
      ['inboundHeaders', usualVocabulary, inboundHeaders],
      ['outboundHeaders', inAnswers, outboundHeaders],
    ] as const) {
      for (const [index, { key, value }] of entries.entries()) {
        const problem = headerNameProblem(key) ?? expressionProblem(value, vocabulary)
        if (problem !== undefined) return `${list}.${index}: ${problem}`
        if (vocabulary === inAnswers && textOrExpression(value, vocabulary).reads.payload) {
          return `${list}.${index}: the body of an answer is not read for it`
        }
      }
    }
    return undefined
  },
  create({ inboundHeaders, outboundHeaders }, { log }) {
    const inbound = inboundHeaders.map((entry) => compiled(entry, usualVocabulary))
    const outbound = outboundHeaders.map((entry) => compiled(entry, inAnswers))
    const failed = rejection(500, 'A header could not be worked out')
    const tooLarge = rejection(413, 'Payload too large')

    function inject(exchange: Exchange, scope: Scope) {
      try {
        const made = inbound.map(({ value }) => value.text(scope))
        for (const [index, { name }] of inbound.entries()) put(exchange.request.headers, name, made[index]!)
      } catch (error) {
        log.warn({ problem: (error as Error).message }, 'an expression for a header failed')
        return failed
      }
      return undefined
    }

    const readsPayload = inbound.some(({ value }) => value.reads.payload)
    return {
      ...(inbound.length > 0 && {
        request: readsPayload
          ? async (exchange: Exchange) => {
              const body = await exchange.request.readBody(largestPayload)
              return body === null
                ? tooLarge
                : inject(exchange, requestScope(exchange, payloadOf(exchange, body)))
            }
          : (exchange: Exchange) => inject(exchange, requestScope(exchange)),
      }),
      ...(outbound.length > 0 && {
        respond(exchange: Exchange) {
          const scope = responseScope(exchange)
          for (const { name, value } of outbound) put(exchange.answer, name, value.text(scope))
        },
      }),
    }
  },
})

interface Injected {
  name: HeaderName
  value: Expression
}

function compiled(entry: { key: string; value: string }, vocabulary: typeof inAnswers): Injected
function compiled(entry: { key: string; value: string }, vocabulary: typeof usualVocabulary): Injected
function compiled(
  { key, value }: { key: string; value: string },
  vocabulary: typeof usualVocabulary,
): Injected {
  return { name: headerName(key), value: textOrExpression(value, vocabulary) }
}

function put(edits: Pick<Exchange['answer'], 'set' | 'add'>, name: HeaderName, value: string): void {
  if (single.has(name.lower)) edits.set(name, latin1(value))
  else edits.add(name, latin1(value))
}

/** Values travel with one character a byte. */
function latin1(text: string): string {
  return Buffer.from(text).toString('latin1')
}
