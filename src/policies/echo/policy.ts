import {
  type BodyFilter,
  definePolicy,
  headerName,
  InvalidHeaderError,
  openInApisix,
  Type,
} from '../kit/index.ts'

/** Fields about a body that is no longer the one that they were about. */
const ofTheBody = ['Content-Encoding', 'Last-Modified', 'ETag'].map((name) => headerName(name))

/** Texts around an answer or in place of it; configuration and behaviour of APISIX's `echo`. */
export default definePolicy({
  name: 'echo',
  summary: 'Puts texts before, after and in place of the body of an answer, and fields beside it.',
  details:
    'For trying things out. It takes `Content-Encoding`, `ETag` and `Last-Modified` off the answers it changes.',
  stage: 'transform',
  priority: 412,
  config: Type.Object(
    {
      before_body: Type.Optional(Type.String({ description: 'Text before the body.' })),
      body: Type.Optional(Type.String({ description: 'Text in place of the body.' })),
      after_body: Type.Optional(Type.String({ description: 'Text after the body.' })),
      headers: Type.Optional(
        Type.Unsafe<Record<string, string | number>>({
          type: 'object',
          minProperties: 1,
          patternProperties: { '^[^:]+$': { oneOf: [{ type: 'string' }, { type: 'number' }] } },
          description: 'Fields of the answer.',
          'x-apisix': { patternProperties: undefined },
        }),
      ),
    },
    {
      ...openInApisix,
      minProperties: 1,
      anyOf: [{ required: ['before_body'] }, { required: ['body'] }, { required: ['after_body'] }],
    },
  ),
  validate({ headers = {} }) {
    try {
      for (const [name, value] of Object.entries(headers)) {
        if (typeof value !== 'string' && typeof value !== 'number') return 'invalid type as header value'
        if (headerName(name).isReserved) return `headers: ${name} is the gateway’s own to write`
        if (/[\x00-\x08\x0a-\x1f\x7f]/.test(String(value)))
          return `headers: the value of ${name} holds a control`
      }
    } catch (error) {
      if (error instanceof InvalidHeaderError) return error.message
      throw error
    }
    return undefined
  },
  create({ before_body: before = '', body, after_body: after = '', headers = {} }) {
    const fields = Object.entries(headers).map(
      ([name, value]) => [headerName(name), Buffer.from(String(value)).toString('latin1')] as const,
    )
    const head = Buffer.from(before)
    const whole = Buffer.from(before + body + after)
    const tail = Buffer.from(after)

    return {
      respond({ answer }): BodyFilter {
        for (const name of ofTheBody) answer.remove(name)
        for (const [name, value] of fields) answer.set(name, value)
        if (body !== undefined) return { write: () => undefined, end: () => whole }
        let isFirst = true
        return {
          write(piece) {
            if (!isFirst) return piece
            isFirst = false
            return Buffer.concat([head, piece])
          },
          end: () => (isFirst ? Buffer.concat([head, tail]) : tail),
        }
      },
    }
  },
})
