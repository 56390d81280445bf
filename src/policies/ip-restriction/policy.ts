import { AddressSet, addressProblem, apisixAddressForms, definePolicy, Type } from '../kit/index.ts'

/** As APISIX's schema says it; what is wrong beyond that is told by `validate`. */
const inApisix = { minLength: undefined, type: undefined, anyOf: apisixAddressForms }
const addresses = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1, 'x-apisix': inApisix }), { minItems: 1, description }))

/** Who may come, by client address; configuration and answers of APISIX's `ip-restriction`. */
export default definePolicy({
  name: 'ip-restriction',
  summary: 'Lets client addresses pass, or keeps them out.',
  details:
    'A rejection is `response_code` with `{"message":"..."}`. The address is the client’s behind trusted proxies. ' +
    'On streams, the connection is closed.',
  stage: 'authorize',
  priority: 3000,
  stream: {},
  config: Type.Object(
    {
      message: Type.String({
        minLength: 1,
        maxLength: 1024,
        default: 'Your IP address is not allowed',
        description: 'Sent with a rejection.',
      }),
      response_code: Type.Integer({ minimum: 403, maximum: 404, default: 403, description: 'Its status.' }),
      whitelist: addresses('Addresses and CIDR blocks that may pass. Excludes `blacklist`.'),
      blacklist: addresses('Addresses and CIDR blocks that may not. Excludes `whitelist`.'),
    },
    { additionalProperties: false, oneOf: [{ required: ['whitelist'] }, { required: ['blacklist'] }] },
  ),
  validate({ whitelist = [], blacklist = [] }) {
    for (const entry of [...whitelist, ...blacklist]) {
      if (addressProblem(entry) !== undefined) return `invalid ip address: ${entry}`
    }
    return undefined
  },
  create({ whitelist, blacklist, response_code: status, message }) {
    const listed = new AddressSet(whitelist ?? blacklist ?? [])
    const mayPass = whitelist !== undefined
    const rejected = { status, body: { message } }
    return {
      request(exchange) {
        return listed.has(exchange.client.address) === mayPass ? undefined : rejected
      },
    }
  },
})
