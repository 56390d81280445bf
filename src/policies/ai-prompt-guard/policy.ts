import { isJson, messagesOf, protocolOf } from '../kit/ai/index.ts'
import {
  compileTextSearch,
  definePolicy,
  type Exchange,
  openInApisix,
  type Search,
  Type,
  type Verdict,
} from '../kit/index.ts'

const patterns = (description: string) => Type.Array(Type.String(), { default: [], description })

/** Configuration and answers of APISIX's `ai-prompt-guard`. */
export default definePolicy({
  name: 'ai-prompt-guard',
  summary: 'Checks what clients say to language models against patterns.',
  details:
    'The last message is checked if a user says it; all of them with `match_all_conversation_history`, those of other ' +
    'roles too with `match_all_roles`. What matches none of `allow_patterns`, if there are any, or one of ' +
    '`deny_patterns`, is answered with 400 and `{"message":"Request doesn\'t match allow patterns"}` or ' +
    '`{"message":"Request contains prohibited content"}`. Expressions are read by characters, as PCRE reads them with ' +
    'UTF, and searched in linear time; one that needs more is a finding. In APISIX a request with nothing to check is answered with 200; here it passes. Parts of a message ' +
    'that are texts in a list are checked as well.',
  stage: 'authorize',
  priority: 1072,
  config: Type.Object(
    {
      allow_patterns: patterns('Expressions of which one has to match.'),
      deny_patterns: patterns('Expressions of which none may match.'),
      match_all_roles: Type.Boolean({ default: false, description: 'Check what others than users say.' }),
      match_all_conversation_history: Type.Boolean({ default: false, description: 'Check all messages.' }),
      fail_mode: Type.Enum(['skip', 'warn', 'error'], {
        default: 'skip',
        description:
          'What becomes of requests that are none to a language model: they pass, with a line in the log or without, or are refused.',
      }),
      max_req_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description: 'Bytes of a request body.',
      }),
    },
    openInApisix,
  ),
  validate({ allow_patterns, deny_patterns }) {
    for (const [kind, list] of [
      ['allow', allow_patterns],
      ['deny', deny_patterns],
    ] as const) {
      for (const pattern of list) {
        const search = compileTextSearch(pattern)
        if ('problem' in search)
          return `invalid ${kind}_pattern: ${pattern}: the expression ${search.problem}`
      }
    }
    return undefined
  },
  create(config, host) {
    const allowed = config.allow_patterns.map((pattern) => compileTextSearch(pattern) as Search)
    const denied = config.deny_patterns.map((pattern) => compileTextSearch(pattern) as Search)

    /** A request that is not for a language model. */
    function other(message: string): Verdict | undefined {
      if (config.fail_mode === 'warn')
        host.log.warn({ reason: message }, 'ai-prompt-guard did not check a request')
      return config.fail_mode === 'error' ? refused(message) : undefined
    }

    async function request(exchange: Exchange): Promise<Verdict | undefined> {
      const text = await exchange.request.readBody(config.max_req_body_size)
      if (text === null) return { status: 413, body: { message: 'Request body is too large' } }
      if (text === '') return refused('Empty request body')
      let body: unknown
      try {
        body = JSON.parse(Buffer.from(text, 'latin1').toString())
      } catch {
        return other('request body is not valid JSON')
      }
      const protocol = isJson(body) ? protocolOf(body, exchange.request.path) : null
      if (!isJson(body) || protocol === null || protocol === 'passthrough')
        return other('Request format not recognized by ai-prompt-guard')
      let messages = messagesOf(body, protocol)
      if (!config.match_all_conversation_history && protocol !== 'openai-responses')
        messages = messages.slice(-1)
      if (!config.match_all_roles) messages = messages.filter(({ role }) => role === 'user')
      if (messages.length === 0) return undefined
      const said = messages
        .map(({ content }) => content)
        .join(' ')
        .toWellFormed()
      if (allowed.length > 0 && !allowed.some((search) => search.matches(said)))
        return refused("Request doesn't match allow patterns")
      return denied.some((search) => search.matches(said))
        ? refused('Request contains prohibited content')
        : undefined
    }
    return { request }
  },
})

function refused(message: string): Verdict {
  return { status: 400, body: { message } }
}
