import { randomUUID } from 'node:crypto'
import { isJson, type Judgement, Moderation, type Moderator, moderationFields } from '../kit/ai/index.ts'
import {
  callFields,
  callOptions,
  callTimeout,
  definePolicy,
  type Exchange,
  jsonOf,
  openInApisix,
  serviceUrlProblem,
  Type,
} from '../kit/index.ts'
import { signedForm } from './signature.ts'

const levels = ['none', 'low', 'medium', 'high', 'max'] as const

const name = (description: string, more: object = {}) => Type.String({ minLength: 1, description, ...more })
const lengthLimit = (whose: string, characters: number) =>
  Type.Integer({
    minimum: 1,
    default: characters,
    description: `Characters of ${whose} in one call; what is longer goes in several.`,
  })

/** Configuration and answers of APISIX's `ai-aliyun-content-moderation`. */
export default definePolicy({
  name: 'ai-aliyun-content-moderation',
  summary: 'Has Alibaba Cloud judge what clients and language models say, and denies what is risky.',
  details:
    'Stands beside `ai-proxy` or `ai-proxy-multi`. What reaches `risk_level_bar` is answered with `deny_code` and a message ' +
    'in the format of the client, as if the model had said it: `deny_message`, the advice of the service, or `Your request ' +
    'violate our content policy.` The variable `llm_content_risk_level` tells the level.\n\nAs in APISIX, what the service ' +
    'does not answer for passes, with a line in the log.',
  stage: 'authorize',
  priority: 1029,
  config: Type.Object(
    {
      endpoint: name('Where the service is.'),
      region_id: name('Region of the service.'),
      access_key_id: name('Id of the key.'),
      access_key_secret: name('The key.', { 'x-secret': true }),
      ...moderationFields(['user', 'tool', 'system'], { roles: ['user'], mode: 'last' }),
      request_check_service: name('Rules for requests.', { default: 'llm_query_moderation' }),
      request_check_length_limit: lengthLimit('a request', 2000),
      response_check_service: name('Rules for answers.', { default: 'llm_response_moderation' }),
      response_check_length_limit: lengthLimit('an answer', 5000),
      risk_level_bar: Type.Enum([...levels], {
        default: 'high',
        description: 'The lowest level that is denied.',
      }),
      ...callFields(callTimeout({ default: 10_000 })),
      keepalive_pool: Type.Integer({ minimum: 1, default: 30, description: 'Has no effect.' }),
    },
    openInApisix,
  ),
  validate({ endpoint }) {
    const problem = serviceUrlProblem(endpoint)
    return problem === undefined ? undefined : `endpoint: it ${problem}`
  },
  create(config, host) {
    const calls = host.calls(callOptions(config))
    const url = `${new URL(config.endpoint).origin}/`
    const bar = levels.indexOf(config.risk_level_bar)
    const sessions = new WeakMap<Exchange, string>()

    function sessionOf(exchange: Exchange): string {
      const session = sessions.get(exchange) ?? randomUUID()
      sessions.set(exchange, session)
      return session
    }

    /** @throws Error */
    async function judgePiece(content: string, service: string, session: string): Promise<Judgement> {
      const form = signedForm(
        {
          AccessKeyId: config.access_key_id,
          Action: 'TextModerationPlus',
          Format: 'JSON',
          RegionId: config.region_id,
          Service: service,
          ServiceParameters: JSON.stringify({ sessionId: session, content }),
          SignatureMethod: 'HMAC-SHA1',
          SignatureNonce: randomUUID(),
          SignatureVersion: '1.0',
          Timestamp: new Date(host.now()).toISOString().replace(/\.\d{3}/, ''),
          Version: '2022-03-02',
        },
        config.access_key_secret,
      )
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      const answer = await calls.call({ method: 'POST', url, headers, body: form })
      if (answer.status !== 200) throw new Error(`the service answers ${answer.status}`)
      const said = jsonOf(answer)
      const data = isJson(said) ? said.Data : undefined
      if (!isJson(data) || typeof data.RiskLevel !== 'string')
        throw new Error('the service tells no level of risk')
      const { RiskLevel: level, Advice: advice } = data
      if (levels.indexOf(level as (typeof levels)[number]) < bar) return { level }
      const first: unknown = Array.isArray(advice) ? advice[0] : undefined
      const told = isJson(first) && typeof first.Answer === 'string' ? first.Answer : undefined
      return { level, denial: config.deny_message ?? told ?? 'Your request violate our content policy.' }
    }

    const moderator: Moderator = {
      async judge(text, whose, exchange) {
        const isRequest = whose === 'request'
        const limit = isRequest ? config.request_check_length_limit : config.response_check_length_limit
        const service = isRequest ? config.request_check_service : config.response_check_service
        let level = exchange.told?.llm_content_risk_level ?? 'none'
        for (const piece of piecesOf(text, limit)) {
          if (piece.trim() === '') continue
          try {
            const judgement = await judgePiece(piece, service, sessionOf(exchange))
            if (judgement.denial !== undefined) return judgement
            level = judgement.level
          } catch (error) {
            host.log.error({ reason: (error as Error).message }, `a ${whose} passes that was not judged`)
          }
        }
        return { level }
      },
    }
    const moderation = new Moderation('ai-aliyun-content-moderation', config, host, moderator)
    return { request: (exchange) => moderation.request(exchange) }
  },
})

/** Of at most `limit` characters each; none is cut in half. */
function* piecesOf(text: string, limit: number): Generator<string> {
  for (let from = 0; from < text.length; ) {
    let to = Math.min(from + limit, text.length)
    const last = text.charCodeAt(to - 1)
    if (to < text.length && last >= 0xd800 && last < 0xdc00) to += to - from > 1 ? -1 : 1
    yield text.slice(from, to)
    from = to
  }
}
