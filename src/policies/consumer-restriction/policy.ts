import { definePolicy, type Exchange, openInApisix, Type } from '../kit/index.ts'

const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'CONNECT', 'TRACE', 'PURGE']

/** What the lists of a configuration are about; undefined or empty: the request has none. */
const subjects: Record<string, (exchange: Exchange) => string | undefined> = {
  consumer_name: ({ consumer }) => consumer?.username,
  consumer_group_id: ({ consumer }) => consumer?.spec.group_id,
  service_id: ({ binding }) => binding?.serviceId,
  route_id: ({ binding }) => binding?.routeId,
}

const names = (description: string) => Type.Optional(Type.Array(Type.String(), { minItems: 1, description }))

/** Who may use a route; configuration and answers of APISIX's `consumer-restriction`. */
export default definePolicy({
  name: 'consumer-restriction',
  summary: 'Lets consumers, their groups, services or routes pass, or keeps them out.',
  details:
    'What is on `blacklist` is rejected. What is on `whitelist` passes; with a `whitelist`, what is not on it is ' +
    'rejected. `allowed_by_methods` names the methods of those that are on it, and lets all others pass.\n\nA rejection ' +
    'is `rejected_code` with `rejected_msg`, or `{"message":"The consumer_name is forbidden."}`. A request that has no ' +
    'such name is 401: `{"message":"The request is rejected, please check the consumer_name for this request"}`.',
  stage: 'authorize',
  priority: 2400,
  config: Type.Object(
    {
      type: Type.Enum(['consumer_name', 'service_id', 'route_id', 'consumer_group_id'], {
        default: 'consumer_name',
        description: 'What the lists name.',
      }),
      blacklist: names('Those that may not pass.'),
      whitelist: names('Those that may pass.'),
      allowed_by_methods: Type.Optional(
        Type.Array(
          Type.Object(
            {
              user: Type.Optional(Type.String({ description: 'Whom it is about.' })),
              methods: Type.Optional(
                Type.Array(Type.Enum(methods as [string, ...string[]]), {
                  minItems: 1,
                  description: 'Methods that it may use.',
                }),
              ),
            },
            openInApisix,
          ),
          { description: 'Methods that single ones may use.' },
        ),
      ),
      rejected_code: Type.Integer({ minimum: 200, default: 403, description: 'Status of a rejection.' }),
      rejected_msg: Type.Optional(Type.String({ description: 'Message of a rejection.' })),
    },
    {
      ...openInApisix,
      anyOf: [{ required: ['blacklist'] }, { required: ['whitelist'] }, { required: ['allowed_by_methods'] }],
    },
  ),
  create(config) {
    const { type, rejected_code: status, rejected_msg: message = `The ${type} is forbidden.` } = config
    const subjectOf = subjects[type]!
    const blacklist = new Set(config.blacklist)
    const whitelist = config.whitelist && new Set(config.whitelist)
    const byMethods = new Map<string, ReadonlySet<string>>()
    for (const { user, methods = [] } of config.allowed_by_methods ?? []) {
      // The first entry of a name counts, as in the original.
      if (user !== undefined && !byMethods.has(user)) byMethods.set(user, new Set(methods))
    }
    const forbidden = { status, body: { message } }
    const unknown = {
      status: 401,
      body: { message: `The request is rejected, please check the ${type} for this request` },
    }

    return {
      request(exchange) {
        const subject = subjectOf(exchange)
        if (subject === undefined || subject === '') return unknown
        if (blacklist.has(subject)) return forbidden
        if (whitelist) return whitelist.has(subject) ? undefined : forbidden
        const allowed = byMethods.get(subject)
        return allowed === undefined || allowed.has(exchange.request.method) ? undefined : forbidden
      },
    }
  },
})
