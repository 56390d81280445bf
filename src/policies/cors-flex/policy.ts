import { definePolicy, type Exchange, headerBlock, headerName, Type, type Verdict } from '../kit/index.ts'
import { groupFor, type OriginGroup, type OriginGroups, originGroups } from './origins.ts'

const allowOrigin = headerName('Access-Control-Allow-Origin')
const allowMethods = headerName('Access-Control-Allow-Methods')
const allowHeaders = headerName('Access-Control-Allow-Headers')
const maxAge = headerName('Access-Control-Max-Age')
const exposeHeaders = headerName('Access-Control-Expose-Headers')
const vary = headerName('Vary')
const credentials = headerBlock([['Access-Control-Allow-Credentials', 'true']])
const ofUpstream = [
  'Access-Control-Allow-Origin',
  'Access-Control-Allow-Credentials',
  'Access-Control-Expose-Headers',
].map((name) => headerName(name))

const names = (description: string) => Type.Array(Type.String({ minLength: 1 }), { default: [], description })
/** What can stand in a field as it is: an origin, a method, a list of names. */
const plain = /^[\x21-\x7e][\x20-\x7e]*$/

/** Requests of pages of other origins; configuration and answers of the Flex policy of that name. */
export default definePolicy({
  name: 'cors-flex',
  summary: 'Tells browsers which origins may use an API, and answers their preflights.',
  details:
    'Every preflight (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) ends here, with 200 and no body. A public ' +
    'resource allows any origin (`*`, or the origin itself with `supportCredentials`), and the method and fields that are ' +
    'asked for. Otherwise the group of the origin decides; one that names it comes before one with a `*`. An origin, method ' +
    'or field that is not allowed gets no `Access-Control-*` fields, those of the upstream included; the request itself goes ' +
    'on. Without `Origin` nothing is added.',
  stage: 'transform',
  priority: 4001,
  config: Type.Object(
    {
      publicResource: Type.Boolean({ default: true, description: 'Any origin is allowed.' }),
      supportCredentials: Type.Boolean({
        default: false,
        description: 'Whether cookies and the like may be sent.',
      }),
      originGroups: Type.Array(
        Type.Object(
          {
            name: Type.Optional(Type.String({ description: 'For people.' })),
            plan: Type.Optional(Type.String({ description: 'Has no effect.' })),
            origins: Type.Array(Type.String({ minLength: 1, maxLength: 1024 }), {
              minItems: 1,
              description: 'Origins, such as `https://shop.example`; `*` stands for anything but a slash.',
            }),
            accessControlMaxAge: Type.Integer({
              minimum: 0,
              default: 30,
              description: 'Seconds for which a preflight may be kept.',
            }),
            allowedMethods: Type.Array(
              Type.Object(
                {
                  methodName: Type.String({ minLength: 1, description: 'The method.' }),
                  isAllowed: Type.Boolean({ default: true, description: 'Whether it is.' }),
                },
                { additionalProperties: false },
              ),
              { default: [], description: 'Methods that are allowed.' },
            ),
            methods: names('The same, by names alone.'),
            headers: names('Fields that requests may have.'),
            exposedHeaders: names('Fields of answers that scripts may read.'),
          },
          { additionalProperties: false },
        ),
        { default: [], description: 'Origins and what they may do, unless the resource is public.' },
      ),
    },
    { additionalProperties: false },
  ),
  validate({ publicResource, originGroups: groups }) {
    if (!publicResource && groups.length === 0) return 'originGroups: without any, no origin is allowed'
    for (const [index, group] of groups.entries()) {
      for (const field of ['origins', 'methods', 'headers', 'exposedHeaders'] as const) {
        const wrong = group[field].findIndex((text) => !plain.test(text))
        if (wrong >= 0) return `originGroups.${index}.${field}.${wrong}: cannot stand in a field`
      }
    }
    return undefined
  },
  create(config) {
    const { publicResource, supportCredentials } = config
    const groups: OriginGroups = originGroups(config.originGroups)
    const preflight: Verdict = { status: 200, body: '' }

    function answerPreflight(exchange: Exchange, origin: string): void {
      const { headers } = exchange.request
      const method = headers.get('access-control-request-method') ?? ''
      const asked = headers.getAll('access-control-request-headers') ?? ''
      const { answer } = exchange
      if (publicResource) {
        allow(exchange, origin, true)
        answer.set(allowMethods, method)
        if (asked !== '') answer.set(allowHeaders, asked)
        return
      }
      const group = groupFor(groups, origin)
      if (group === undefined || !group.methods.has(method) || !group.hasFields(asked)) return
      allow(exchange, origin, group.isForAll)
      answer.set(allowMethods, group.methodsText)
      if (group.headersText !== '') answer.set(allowHeaders, group.headersText)
      answer.set(maxAge, group.maxAge)
    }

    function allow({ answer }: Exchange, origin: string, isForAll: boolean): void {
      const isAnybody = isForAll && !supportCredentials
      answer.set(allowOrigin, isAnybody ? '*' : origin)
      if (!isAnybody) answer.add(vary, 'Origin')
      if (supportCredentials) answer.setBlock(credentials)
    }

    function allowed(exchange: Exchange, origin: string): OriginGroup | 'public' | undefined {
      if (publicResource) return 'public'
      const group = groupFor(groups, origin)
      return group?.methods.has(exchange.request.method) === true ? group : undefined
    }

    return {
      request(exchange) {
        const { method, headers } = exchange.request
        if (method !== 'OPTIONS' || !headers.has('access-control-request-method')) return undefined
        const origin = headers.get('origin')
        if (origin === undefined) return undefined
        if (plain.test(origin)) answerPreflight(exchange, origin)
        return preflight
      },
      respond(exchange) {
        const { request, response, answer } = exchange
        const origin = request.headers.sent('origin')
        if (origin === undefined || exchange.rejectedBy === 'cors-flex') return
        if (response.fromUpstream) for (const name of ofUpstream) answer.remove(name)
        const found = plain.test(origin) ? allowed(exchange, origin) : undefined
        if (found === undefined) return
        allow(exchange, origin, found === 'public' || found.isForAll)
        if (found !== 'public' && found.exposedText !== '') answer.set(exposeHeaders, found.exposedText)
      },
    }
  },
})
