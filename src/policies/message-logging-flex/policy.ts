import {
  authenticationMembers,
  type Expression,
  expressionProblem,
  payloadOf,
  requestAttributes,
  requestScope,
  responseAttributes,
  responseScope,
  type Scope,
  textOrExpression,
  type Value,
  View,
} from '../kit/dataweave/index.ts'
import { definePolicy, type Exchange, type PolicyHost, Type } from '../kit/index.ts'

/** Bytes of a body that messages may be made of. */
const largestPayload = 1024 * 1024

const variables = [
  'apiId',
  'apiName',
  'apiVersion',
  'hostId',
  'orgId',
  'receivedTs',
  'repliedTs',
  'reqId',
  'requestDisposition',
  'runtimeVersion',
  'violation',
]
const before = { attributes: requestAttributes, authentication: authenticationMembers, vars: variables }
const after = { attributes: responseAttributes, authentication: authenticationMembers, vars: variables }
const levels = ['INFO', 'WARN', 'ERROR', 'DEBUG'] as const

const sink = Type.Union([
  Type.Object({ type: Type.Literal('stdout') }, { additionalProperties: false }),
  Type.Object(
    { type: Type.Literal('file'), path: Type.String({ minLength: 1 }) },
    { additionalProperties: false },
  ),
])

/** Lines about requests and answers, of your own making; configuration and form of the Flex policy of that name. */
export default definePolicy({
  name: 'message-logging-flex',
  summary: 'Writes lines about requests and answers, made by expressions.',
  details:
    'A line is `[req: ID] [accessLog] MESSAGE`, with the `category` in place of `accessLog` where there is one. With ' +
    '`firstSection` it is written before the request goes on, with `secondSection` when the answer is there; with neither, ' +
    'never. What an expression cannot be worked out of is an empty message. Line feeds and other controls of messages are ' +
    'escaped, so that a client cannot forge lines. Bodies up to 1 MiB are read for messages of the first section that ' +
    'speak of `payload`; a larger one is left out. The body of an answer is not there.\n\n`vars` has `reqId`, `apiName`, ' +
    '`apiId`, `receivedTs`, `repliedTs`, `requestDisposition`, `violation.policyName`, `violation.clientId`, `hostId` and ' +
    '`runtimeVersion`; `orgId` and `apiVersion` are empty. Unlike in the original, queries and credentials are what your ' +
    'expressions make of them: leave them out.',
  stage: 'transform',
  priority: 403,
  config: Type.Object(
    {
      loggingConfiguration: Type.Array(
        Type.Object(
          {
            itemName: Type.Optional(Type.String({ description: 'For people.' })),
            itemData: Type.Object(
              {
                message: Type.String({ minLength: 1, description: 'DataWeave expression for the message.' }),
                conditional: Type.Union([Type.Boolean(), Type.String()], {
                  default: true,
                  description: 'DataWeave expression for whether it is written.',
                }),
                category: Type.Optional(
                  Type.String({ maxLength: 256, description: 'In place of `accessLog`.' }),
                ),
                level: Type.Enum(levels, {
                  default: 'INFO',
                  description: '`DEBUG` is not written, unless `minimumLevel` says so.',
                }),
                firstSection: Type.Boolean({ default: false, description: 'Before the request goes on.' }),
                secondSection: Type.Boolean({ default: false, description: 'When the answer is there.' }),
              },
              { additionalProperties: false },
            ),
          },
          { additionalProperties: false },
        ),
        { minItems: 1, maxItems: 100, description: 'The lines.' },
      ),
      sinks: Type.Array(sink, {
        default: [{ type: 'stdout' }],
        minItems: 1,
        description: 'Where they go. Not in the original, whose Configuration says it.',
      }),
      minimumLevel: Type.Enum(levels, { default: 'INFO', description: 'The same: the least severe level.' }),
    },
    { additionalProperties: false },
  ),
  validate({ loggingConfiguration }) {
    for (const [index, { itemData }] of loggingConfiguration.entries()) {
      const { message, conditional, firstSection, secondSection } = itemData
      for (const [isUsed, vocabulary] of [
        [firstSection || !secondSection, before],
        [secondSection, after],
      ] as const) {
        if (!isUsed) continue
        for (const [field, text] of [
          ['message', message],
          ['conditional', String(conditional)],
        ] as const) {
          const problem = expressionProblem(text, vocabulary)
          if (problem !== undefined) return `loggingConfiguration.${index}.itemData.${field}: ${problem}`
        }
      }
    }
    return undefined
  },
  create({ loggingConfiguration, sinks, minimumLevel }, host) {
    const targets = sinks.map((target) => host.lines(target))
    const written = loggingConfiguration
      .map(({ itemData }) => itemData)
      .filter(({ level }) => severity(level) >= severity(minimumLevel))
    const first = written.filter(({ firstSection }) => firstSection).map((item) => lineOf(item, before))
    const second = written.filter(({ secondSection }) => secondSection).map((item) => lineOf(item, after))
    const readsPayload = first.some(
      ({ message, condition }) => message.reads.payload || condition.reads.payload,
    )

    function write(exchange: Exchange, lines: readonly Line[], scope: Scope): void {
      for (const { message, condition, category } of lines) {
        if (!isTrue(condition, scope)) continue
        const line = `[req: ${exchange.id}] [${category}] ${escaped(textOf(message, scope))}`
        for (const target of targets) target.write(line)
      }
    }

    return {
      ...(first.length > 0 && {
        request: readsPayload
          ? async (exchange: Exchange) => {
              const body = await exchange.request.readBody(largestPayload)
              const payload = body === null ? null : payloadOf(exchange, body)
              write(exchange, first, requestScope(exchange, payload, new Variables(exchange, host)))
            }
          : (exchange: Exchange) =>
              write(exchange, first, requestScope(exchange, null, new Variables(exchange, host))),
      }),
      ...(second.length > 0 && {
        respond(exchange: Exchange) {
          write(exchange, second, responseScope(exchange, new Variables(exchange, host)))
        },
      }),
    }
  },
})

interface Line {
  readonly message: Expression
  readonly condition: Expression
  readonly category: string
}

function lineOf(
  item: { message: string; conditional: boolean | string; category?: string },
  vocabulary: typeof before,
): Line {
  return {
    message: textOrExpression(item.message, vocabulary),
    condition: textOrExpression(String(item.conditional), vocabulary),
    category: escaped(item.category ?? '') || 'accessLog',
  }
}

const severity = (level: (typeof levels)[number]) => ['DEBUG', 'INFO', 'WARN', 'ERROR'].indexOf(level)

function textOf(message: Expression, scope: Scope): string {
  try {
    return message.text(scope)
  } catch {
    return ''
  }
}

function isTrue(condition: Expression, scope: Scope): boolean {
  try {
    return condition.isTrue(scope)
  } catch {
    return false
  }
}

/** A message is one line, whatever a client put into it. */
function escaped(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (found) =>
    found === '\n'
      ? '\\n'
      : found === '\r'
        ? '\\r'
        : `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** `vars` of messages. */
class Variables extends View {
  readonly #exchange: Exchange
  readonly #host: Pick<PolicyHost, 'gateway' | 'now'>

  constructor(exchange: Exchange, host: Pick<PolicyHost, 'gateway' | 'now'>) {
    super()
    this.#exchange = exchange
    this.#host = host
  }

  override get(key: string): Value {
    const { id, binding, timings, rejectedBy, consumer } = this.#exchange
    const { hostname, version } = this.#host.gateway
    switch (key) {
      case 'reqId':
        return id
      case 'apiName':
        return binding?.serviceName || binding?.routeName || null
      case 'apiId':
        return binding?.serviceId || binding?.routeId || null
      case 'receivedTs':
        return new Date(timings.startedAt).toISOString()
      case 'repliedTs':
        return new Date(this.#host.now()).toISOString()
      case 'requestDisposition':
        return rejectedBy === '' ? 'Processed' : 'Rejected'
      case 'violation':
        return rejectedBy === '' ? null : { policyName: rejectedBy, clientId: consumer?.username ?? null }
      case 'hostId':
        return hostname
      case 'runtimeVersion':
        return version
      default:
        return null
    }
  }

  override entries(): [string, Value][] {
    return variables.map((name) => [name, this.get(name)])
  }
}
