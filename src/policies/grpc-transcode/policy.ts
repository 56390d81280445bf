import {
  type BodyFilter,
  definePolicy,
  type Exchange,
  FrameReader,
  frame,
  headerName,
  openInApisix,
  type ProtoDefinitions,
  type ProtoMethodDefinition,
  Type,
  type Verdict,
} from '../kit/index.ts'
import { type DecodeOptions, decodeMessage } from './decoder.ts'
import { encodeMessage } from './encoder.ts'
import { errorBody } from './error-body.ts'
import { type BoundMethod, HttpBindings } from './http-binding.ts'
import { type MessageType, MessageTypes } from './message-types.ts'
import { boundValues, plainValues, readsBody } from './request-values.ts'
import { httpStatusOf } from './statuses.ts'

/** Bytes of a request's body. */
const largestRequest = 67_108_864
/** Digits that `grpc-timeout` takes. */
const longestDeadline = 99_999_999

const contentType = headerName('Content-Type')
const acceptEncoding = headerName('grpc-accept-encoding')
const timeout = headerName('grpc-timeout')
const statusFields = ['grpc-status', 'grpc-message', 'grpc-status-details-bin'].map(headerName)
const [statusField, , detailsField] = statusFields.map(({ lower }) => lower) as [string, string, string]

const undecodable = 'failed to decode response data by protobuf'

const options = {
  enums: { enum_as_name: 'name', enum_as_value: 'value' },
  integers: { int64_as_number: 'number', int64_as_string: 'string', int64_as_hexstring: 'hexstring' },
  defaults: {
    auto_default_values: 'auto',
    no_default_values: 'none',
    use_default_values: 'all',
    use_default_metatable: 'none',
  },
} as const

const optionNames = [...Object.values(options).flatMap(Object.keys), 'enable_hooks', 'disable_hooks']

/** A request under way whose answer is to be made of messages. */
interface Call {
  readonly types: MessageTypes
  readonly method: ProtoMethodDefinition
  readonly bound: BoundMethod | undefined
  readonly output: MessageType
}

/** Methods of gRPC as plain HTTP and JSON; configuration and answers of APISIX's `grpc-transcode`. */
export default definePolicy({
  name: 'grpc-transcode',
  summary: 'Lets clients call a method of gRPC with HTTP and JSON.',
  details:
    'The message is made of the JSON body of a POST, PUT or PATCH, else of the form of a POST, else of the query; what ' +
    'has no field is left out. A body that does not fit is answered with 400, one that is too large with 413, a method ' +
    'that the definition does not have with 503. The answer is JSON. A status of gRPC other than 0 becomes one of ' +
    'HTTP, and `grpc-status`, `grpc-message` and `grpc-status-details-bin` stand in the head.\n\n' +
    'With `method: "*"`, the options `google.api.http` of the methods of `service` say which one a request is for: the ' +
    'fields of the path, `body`, `response_body` and the query (`a.b` for a field of a message) are used as they say, ' +
    'and a request that fits none is answered with 404.\n\n' +
    'Unlike in APISIX, a status counts also where it comes behind the head, as trailer field; whole numbers keep all ' +
    'their digits, in both directions; `true`, `false`, `1` and `0` are booleans in a query; an answer that cannot be ' +
    'decoded, or is larger than `max_resp_body_size`, has the status 502; and the messages of a method that streams ' +
    'become a list, which goes on as they come and breaks off when the call fails.',
  stage: 'authorize',
  priority: 506,
  config: Type.Object(
    {
      max_resp_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description: 'Bytes of an answer, or of each message of a stream.',
      }),
      proto_id: Type.Unsafe<string | number>({
        anyOf: [
          { type: 'string', minLength: 1, maxLength: 64, pattern: '^[a-zA-Z0-9-_.]+$' },
          { type: 'integer', minimum: 1 },
        ],
        description: 'The definition, one of `protos`.',
        'x-refers-to': 'protos',
      }),
      service: Type.String({ description: 'The service, with its package: `helloworld.Greeter`.' }),
      method: Type.String({ description: 'The method; `*`: the one that `google.api.http` says.' }),
      deadline: Type.Number({
        default: 0,
        description: 'Milliseconds that the call may take; 0: as long as the upstream’s timeouts let it.',
      }),
      pb_option: Type.Array(Type.Unsafe<string>({ type: 'string', anyOf: pbOptionForms() }), {
        minItems: 1,
        default: ['enum_as_name', 'int64_as_number', 'auto_default_values', 'disable_hooks'],
        description:
          'How values are written: enums by name or number; numbers of 64 bits as numbers, or, where they have more ' +
          'than 32, as texts that begin with `#`; fields that are not there with their default, or not. Hooks have no effect.',
      }),
      show_status_in_body: Type.Boolean({
        default: false,
        description: 'Whether an error has `grpc-status-details-bin` as JSON in its body.',
      }),
      status_detail_type: Type.Optional(
        Type.String({ description: 'The message that its details are, with its package.' }),
      ),
    },
    openInApisix,
  ),
  create(config, host) {
    const { proto_id: protoId, service, method: methodName, max_resp_body_size: limit } = config
    const decodeOptions = decodeOptionsOf(config.pb_option)
    const deadline = Math.min(Math.ceil(config.deadline), longestDeadline)
    const choosesByPath = methodName === '*'
    const calls = new WeakMap<Exchange, Call>()
    let known: {
      readonly definitions: ProtoDefinitions
      readonly types: MessageTypes
      bindings: HttpBindings
    }

    /** Types of the current plan. */
    function current() {
      const definitions = host.proto(protoId)
      if (definitions === undefined) return undefined
      if (known?.definitions !== definitions) {
        const types = new MessageTypes(definitions)
        known = {
          definitions,
          types,
          bindings: new HttpBindings(choosesByPath ? types.methods(service) : []),
        }
      }
      return known
    }

    function refuse(status: number, message: string): Verdict {
      host.log.error({ service, method: methodName }, message)
      return { status }
    }

    async function request(exchange: Exchange): Promise<Verdict | undefined> {
      const { request: incoming } = exchange
      const found = current()
      if (found === undefined) return refuse(503, `failed to find proto by id: ${protoId}`)
      const { types } = found
      const bound = choosesByPath ? found.bindings.find(incoming.method, incoming.path) : undefined
      if (choosesByPath && bound === undefined) return { status: 404 }
      const method = bound?.method ?? types.methods(service).find(({ name }) => name === methodName)
      const input = method && types.message(method.input)
      const output = method && types.message(method.output)
      if (input === undefined || output === undefined) {
        return refuse(503, `Undefined service method: ${service}/${methodName}`)
      }
      const wantsBody = bound === undefined ? readsBody(incoming.method) : bound.body !== undefined
      const body = await incoming.readBody(largestRequest)
      if (body === null) return { status: 413 }
      let message: Buffer
      try {
        const values =
          bound === undefined
            ? plainValues(incoming, wantsBody ? body : '')
            : boundValues(bound, incoming.query, wantsBody ? body : '')
        message = encodeMessage(input, values.values, values)
      } catch (error) {
        return refuse(400, `failed to encode request data to protobuf: ${(error as Error).message}`)
      }
      incoming.setMethod('POST')
      incoming.setPath(`/${service}/${method!.name}`)
      incoming.setQuery('')
      incoming.headers.set(contentType, 'application/grpc')
      incoming.headers.remove(acceptEncoding)
      if (deadline > 0) incoming.headers.set(timeout, `${deadline}m`)
      incoming.setBody(frame(0, message).toString('latin1'))
      if (method!.streamsOutput === undefined) exchange.response.hold(limit + 5)
      calls.set(exchange, { types, method: method!, bound, output })
      return undefined
    }

    /** What the client gets in place of the body; undefined: the body itself. */
    function errorText(call: Call, details: string | undefined): string | undefined {
      if (!config.show_status_in_body || details === undefined) return undefined
      const { status_detail_type: type } = config
      const detailType = type === undefined ? undefined : (call.types.message(type) ?? null)
      return errorBody(details, detailType, decodeOptions)
    }

    function respond(exchange: Exchange): BodyFilter | undefined {
      const call = calls.get(exchange)
      const { response, answer } = exchange
      if (call === undefined || !response.fromUpstream) return undefined
      const { status } = response
      if (status >= 300) return replaced(errorText(call, response.headers.get(detailsField)))
      answer.set(contentType, 'application/json')
      const grpcStatus = response.headers.get(statusField) ?? response.trailer(statusField)
      if (grpcStatus !== undefined && grpcStatus !== '0') {
        response.setStatus(httpStatusOf(grpcStatus))
        for (const field of statusFields) {
          const value = response.headers.get(field.lower) ?? response.trailer(field.lower)
          if (value !== undefined) answer.set(field, value)
        }
        return replaced(errorText(call, response.sent(detailsField)) ?? '')
      }
      if (call.method.streamsOutput) return new MessageList(exchange, (bytes) => jsonOf(call, bytes), limit)
      let json: string
      try {
        const messages = new FrameReader(limit).push(response.heldBody() ?? Buffer.alloc(0))
        json = jsonOf(call, messages[0])
      } catch (error) {
        host.log.error({ reason: (error as Error).message }, undecodable)
        response.setStatus(502)
        json = undecodable
      }
      return replaced(json)
    }

    function jsonOf({ output, bound }: Call, message: Buffer | undefined): string {
      if (message === undefined) throw new Error('there is no message')
      const values = decodeMessage(output, message, decodeOptions)
      return JSON.stringify(bound?.responseBody === undefined ? values : (values[bound.responseBody] ?? null))
    }

    return { request, respond }
  },
})

/** What the schema of APISIX says of an option: one of several lists. */
function pbOptionForms(): object[] {
  const named = [
    ['enum as result', 'enum_as_'],
    ['int64 as result', 'int64_as_'],
    ['default values option', '_default_'],
    ['hooks option', '_hooks'],
  ] as const
  return named.map(([description, part]) => ({
    description,
    type: 'string',
    enum: optionNames.filter((name) => name.includes(part)),
  }))
}

/** Of several that say the same thing, the last counts. */
function decodeOptionsOf(names: readonly string[]): DecodeOptions {
  const pick = <Value>(choices: Readonly<Record<string, Value>>, otherwise: Value): Value => {
    const chosen = names.findLast((name) => Object.hasOwn(choices, name))
    return chosen === undefined ? otherwise : choices[chosen]!
  }
  return {
    enums: pick<DecodeOptions['enums']>(options.enums, 'name'),
    integers: pick<DecodeOptions['integers']>(options.integers, 'number'),
    defaults: pick<DecodeOptions['defaults']>(options.defaults, 'auto'),
  }
}

/** @param body one character a byte; undefined: the one that comes stays */
function replaced(body: string | undefined): BodyFilter | undefined {
  if (body === undefined) return undefined
  return { write: () => undefined, end: () => Buffer.from(body, 'latin1') }
}

/** The messages of a stream as a list in JSON. */
class MessageList implements BodyFilter {
  readonly #exchange: Exchange
  readonly #jsonOf: (message: Buffer) => string
  readonly #reader: FrameReader
  #opened = false

  constructor(exchange: Exchange, jsonOf: (message: Buffer) => string, limit: number) {
    this.#exchange = exchange
    this.#jsonOf = jsonOf
    this.#reader = new FrameReader(limit)
  }

  write(piece: Buffer): Buffer | undefined {
    let text = ''
    for (const message of this.#reader.push(piece)) {
      text += `${this.#opened ? ',' : '['}${this.#jsonOf(message)}`
      this.#opened = true
    }
    return text === '' ? undefined : Buffer.from(text, 'latin1')
  }

  end(): Buffer {
    const status = this.#exchange.response.trailer(statusField)
    if (!this.#reader.isAtEnd || (status !== undefined && status !== '0')) {
      throw new Error(`a stream of messages ended with the status ${status}`)
    }
    return Buffer.from(this.#opened ? ']' : '[]')
  }
}
