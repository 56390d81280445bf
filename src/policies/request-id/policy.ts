import { definePolicy, headerName, InvalidHeaderError, openInApisix, Type } from '../kit/index.ts'
import { generatorOf } from './generators.ts'

/** APISIX's own, in which a letter stands twice. */
const characters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIGKLMNOPQRSTUVWXYZ0123456789'

/** One name for a request everywhere; configuration and behaviour of APISIX's `request-id`. */
export default definePolicy({
  name: 'request-id',
  summary: 'Gives every request an id that upstream, client and logs share.',
  details:
    'An id that the client sent is kept. The variable `apisix_request_id` has it from then on. Unlike in APISIX, the ' +
    'ids of `range_id` come from a generator that cannot be predicted.',
  stage: 'transform',
  priority: 12_015,
  config: Type.Object(
    {
      header_name: Type.String({ default: 'X-Request-Id', description: 'Field that carries the id.' }),
      include_in_response: Type.Boolean({ default: true, description: 'Whether the client gets it too.' }),
      algorithm: Type.Enum(['uuid', 'nanoid', 'range_id', 'ksuid', 'uuidv7'], {
        default: 'uuid',
        description: 'How ids are made. Those of `uuidv7` and `ksuid` sort by time.',
        type: 'string',
      }),
      range_id: Type.Object(
        {
          length: Type.Integer({
            minimum: 6,
            maximum: 1024,
            default: 16,
            description: 'Characters of an id.',
          }),
          char_set: Type.String({
            minLength: 6,
            maxLength: 256,
            default: characters,
            description: 'What they are taken from.',
          }),
        },
        {
          additionalProperties: false,
          default: { length: 16, char_set: characters },
          description: 'For the algorithm `range_id`.',
        },
      ),
    },
    openInApisix,
  ),
  validate({ header_name: name, range_id: { char_set: charSet } }) {
    try {
      if (headerName(name).isReserved) return `header_name: ${name} is the gateway’s own to write`
    } catch (error) {
      if (error instanceof InvalidHeaderError) return error.message
      throw error
    }
    return /[^\x21-\x7e]/.test(charSet) ? 'range_id.char_set: only printable ASCII' : undefined
  },
  create({ header_name, include_in_response: isAnswered, algorithm, range_id: range }, host) {
    const name = headerName(header_name)
    const generate = generatorOf(algorithm, range, () => host.now())
    return {
      request(exchange) {
        const { headers } = exchange.request
        let id = headers.get(name.lower)
        if (id === undefined || id === '') {
          id = generate()
          headers.set(name, id)
        }
        exchange.setId(id)
      },
      ...(isAnswered && {
        respond({ request, response, answer }) {
          const id = request.headers.get(name.lower)
          if (id !== undefined && !response.sent(name.lower)) answer.set(name, id)
        },
      }),
    }
  },
})
