import { awsSignature } from '../kit/ai/aws-signature.ts'
import { isJson, Moderation, type Moderator, moderationFields, turnRoles } from '../kit/ai/index.ts'
import { CallError, callTimeout, definePolicy, jsonOf, openInApisix, Type } from '../kit/index.ts'
import { segmentsOf } from './segments.ts'

const score = (more: object) => Type.Number({ minimum: 0, maximum: 1, ...more })

const lengthLimit = (whose: string) =>
  Type.Integer({
    minimum: 4,
    maximum: 1024,
    default: 1000,
    description: `Bytes of ${whose} in one segment; what is longer goes in several.`,
  })

const categories = [
  'PROFANITY',
  'HATE_SPEECH',
  'INSULT',
  'HARASSMENT_OR_ABUSE',
  'SEXUAL',
  'VIOLENCE_OR_THREAT',
]

/** Configuration and answers of APISIX's `ai-aws-content-moderation`. */
export default definePolicy({
  name: 'ai-aws-content-moderation',
  summary: 'Has Amazon Comprehend judge what clients and language models say, and denies what is toxic.',
  details:
    'Stands beside `ai-proxy` or `ai-proxy-multi`. What is denied is answered with `deny_code` and a message in the format of ' +
    'the client, as if the model had said it: `deny_message`, or which threshold was exceeded. The variable ' +
    '`llm_content_risk_level` becomes `high` or `none`.\n\nWhen Comprehend does not answer, a request, and an answer that is ' +
    'no stream, is 500; a stream goes on, and is not marked with a `risk_level`. A whole answer waits until it has been ' +
    'judged.',
  stage: 'authorize',
  priority: 1031,
  config: Type.Object(
    {
      comprehend: Type.Object(
        {
          access_key_id: Type.String({ description: 'Id of the key.' }),
          secret_access_key: Type.String({ 'x-secret': true, description: 'The key.' }),
          session_token: Type.Optional(
            Type.String({ 'x-secret': true, description: 'Goes with a key that holds for a while.' }),
          ),
          region: Type.String({ description: 'Region of AWS.' }),
          endpoint: Type.Optional(
            Type.String({ pattern: '^https?://', description: 'Where it is, when not at AWS.' }),
          ),
          ssl_verify: Type.Boolean({ default: true, description: 'Check its certificate.' }),
        },
        { ...openInApisix, description: 'Amazon Comprehend, and what requests to it are signed with.' },
      ),
      moderation_categories: Type.Optional(
        Type.Object(Object.fromEntries(categories.map((name) => [name, Type.Optional(score({}))])), {
          additionalProperties: false,
          'x-apisix': {
            properties: undefined,
            additionalProperties: false,
            patternProperties: {
              [`^(${categories.join('|')})$`]: { type: 'number', minimum: 0, maximum: 1 },
            },
          },
          description: 'Thresholds of single categories.',
        }),
      ),
      moderation_threshold: score({ default: 0.5, description: 'Threshold of toxicity.' }),
      ...moderationFields(turnRoles, { roles: [...turnRoles], mode: 'all' }),
      request_check_length_limit: lengthLimit('a request'),
      response_check_length_limit: lengthLimit('an answer'),
      timeout: callTimeout({ default: 10_000 }),
      keepalive: Type.Boolean({ default: true, description: 'Keep connections open for further calls.' }),
      keepalive_timeout: Type.Integer({
        minimum: 1000,
        default: 60_000,
        description: 'Milliseconds that they are kept for.',
      }),
    },
    openInApisix,
  ),
  validate({ comprehend: { region, endpoint } }) {
    return URL.canParse(endpoint ?? addressIn(region)) ? undefined : 'comprehend: it has no address'
  },
  create(config, host) {
    const { comprehend, moderation_categories: thresholds = {}, moderation_threshold: most } = config
    const url = new URL(endpointOf(comprehend))
    const calls = host.calls({
      timeout: config.timeout,
      verify: comprehend.ssl_verify,
      keepAlive: config.keepalive,
      keepAliveTimeout: config.keepalive_timeout,
    })

    /** @throws Error */
    async function resultsOf(segments: readonly string[]): Promise<readonly unknown[]> {
      const body = JSON.stringify({
        LanguageCode: 'en',
        TextSegments: segments.map((text) => ({ Text: text })),
      })
      const headers = awsSignature(
        { method: 'POST', url, body },
        comprehend,
        comprehend.region,
        'comprehend',
        host.now(),
        {
          'content-type': 'application/x-amz-json-1.1',
          'x-amz-target': 'Comprehend_20171127.DetectToxicContent',
        },
      )
      try {
        const answer = await calls.call({ method: 'POST', url: url.href, headers, body })
        if (answer.status !== 200) throw new Error(`comprehend answers ${answer.status}`)
        const said = jsonOf(answer)
        const results = isJson(said) && Array.isArray(said.ResultList) ? said.ResultList : []
        if (results.length >= segments.length) return results
      } catch (error) {
        if (!(error instanceof CallError)) throw error
        host.log.error({ reason: error.message }, 'comprehend does not answer')
        throw new Error('failed to send request to comprehend')
      }
      throw new Error('failed to get moderation results from response')
    }

    function excess(result: unknown): string | undefined {
      const { Labels: labels, Toxicity: toxicity } = isJson(result) ? result : {}
      if (typeof toxicity !== 'number') throw new Error('failed to get moderation results from response')
      for (const label of Array.isArray(labels) ? labels.filter(isJson) : []) {
        const name = String(label.Name)
        const threshold = Object.hasOwn(thresholds, name) ? (thresholds[name] as number) : undefined
        if (threshold !== undefined && Number(label.Score) > threshold) return `exceeds ${name} threshold`
      }
      return toxicity > most ? 'exceeds toxicity threshold' : undefined
    }

    const moderator: Moderator = {
      async judge(text, whose, { told }) {
        const limit =
          whose === 'request' ? config.request_check_length_limit : config.response_check_length_limit
        for (const segments of segmentsOf(text, limit)) {
          for (const result of await resultsOf(segments)) {
            const found = excess(result)
            if (found === undefined) continue
            return { level: 'high', denial: config.deny_message ?? `${whose} body ${found}` }
          }
        }
        return { level: told?.llm_content_risk_level === 'high' ? 'high' : 'none' }
      },
    }
    const moderation = new Moderation('ai-aws-content-moderation', config, host, moderator)
    return { request: (exchange) => moderation.request(exchange) }
  },
})

const addressIn = (region: string) => `https://comprehend.${region}.amazonaws.com`

/** Paths of the setting are left out, as APISIX does. */
function endpointOf({ endpoint, region }: { endpoint?: string; region: string }): string {
  return `${new URL(endpoint ?? addressIn(region)).origin}/`
}
