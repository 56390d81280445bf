import { compileSearch, definePolicy, Type } from '../kit/index.ts'

/** Paths and queries that are kept out; configuration and answers of APISIX's `uri-blocker`. */
export default definePolicy({
  name: 'uri-blocker',
  summary: 'Refuses requests whose path or query matches a regular expression.',
  details:
    'What is looked at is the canonical path with the query. A rejection has the status `rejected_code`, and ' +
    '`{"error_msg":"..."}` when `rejected_msg` is set.',
  stage: 'transform',
  priority: 2900,
  config: Type.Object(
    {
      block_rules: Type.Array(Type.String({ minLength: 1, maxLength: 4096 }), {
        uniqueItems: true,
        description: 'Regular expressions; one that matches anywhere is enough.',
      }),
      rejected_code: Type.Integer({ minimum: 200, default: 403, description: 'Status of a rejection.' }),
      rejected_msg: Type.Optional(
        Type.String({ minLength: 1, description: 'Sent as `{"error_msg": ...}` with a rejection.' }),
      ),
      case_insensitive: Type.Boolean({ default: false, description: 'Letters of either case are equal.' }),
    },
    { additionalProperties: false },
  ),
  validate({ block_rules: rules }) {
    for (const rule of rules) {
      const search = compileSearch(rule)
      if ('problem' in search) return `block_rules: the expression ${rule} ${search.problem}`
    }
    return undefined
  },
  // Of what is wrong with an expression, the words of PCRE for this are what people meet.
  wording(fault, { block_rules: rules }) {
    const rule = /^block_rules: the expression .* has a parenthesis that is not closed$/s.test(fault)
      ? (rules as string[]).find((one) => 'problem' in compileSearch(one))
      : undefined
    return rule && `pcre_compile() failed: missing ) in "${rule}"`
  },
  create(
    { block_rules: rules, rejected_code: status, rejected_msg: message, case_insensitive: ignoreCase },
    host,
  ) {
    const searches = rules.flatMap((rule) => {
      const search = compileSearch(rule, ignoreCase)
      return 'problem' in search ? [] : [search.matches]
    })
    const uri = host.variable('request_uri')
    const rejected = { status, ...(message !== undefined && { body: { error_msg: message } }) }
    return {
      request(exchange) {
        const text = uri(exchange) ?? ''
        for (const matches of searches) if (matches(text)) return rejected
        return undefined
      },
    }
  },
})
