import { compileSearch, definePolicy, openInApisix, type Search, Type } from '../kit/index.ts'

const rules = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description }))

/** Which clients may come, by what they call themselves; configuration and answers of APISIX's `ua-restriction`. */
export default definePolicy({
  name: 'ua-restriction',
  summary: 'Lets clients pass, or keeps them out, by their `User-Agent`.',
  details:
    'A rule is a regular expression that is searched for, with regard to case. A rejection is 403 with ' +
    '`{"message":"..."}`. A request with several `User-Agent` fields is on a list when one of them is.',
  stage: 'authorize',
  priority: 2999,
  config: Type.Object(
    {
      bypass_missing: Type.Boolean({ default: false, description: 'Let requests without the field pass.' }),
      allowlist: rules('Only clients that match one of these may pass. Excludes `denylist`.'),
      denylist: rules('Clients that match one of these may not pass. Excludes `allowlist`.'),
      message: Type.String({
        minLength: 1,
        maxLength: 1024,
        default: 'Not allowed',
        description: 'Sent with a rejection.',
      }),
    },
    { ...openInApisix, oneOf: [{ required: ['allowlist'] }, { required: ['denylist'] }] },
  ),
  validate({ allowlist = [], denylist = [] }) {
    for (const rule of [...allowlist, ...denylist]) {
      const search = compileSearch(rule)
      if ('problem' in search) return `the expression ${rule} ${search.problem}`
    }
    return undefined
  },
  create({ allowlist, denylist, bypass_missing: bypassMissing, message }) {
    const mayPass = allowlist !== undefined
    const searches = (allowlist ?? denylist ?? []).map((rule) => compileSearch(rule) as Search)
    const rejected = { status: 403, body: { message } }
    const isListed = (agent: string) => searches.some((search) => search.matches(agent))

    return {
      request({ request: { headers } }) {
        const first = headers.get('user-agent')
        if (first === undefined) return bypassMissing ? undefined : rejected
        let listed = isListed(first)
        if (!listed && headers.getAll('user-agent') !== first) {
          headers.forEach((name, value) => {
            if (name.toLowerCase() === 'user-agent') listed ||= isListed(value)
          })
        }
        return listed === mayPass ? undefined : rejected
      },
    }
  },
})
