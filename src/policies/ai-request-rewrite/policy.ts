import {
  askService,
  endpoint,
  isJson,
  options,
  provider,
  providerOf,
  requestFor,
  simpleAuth,
  textsOf,
} from '../kit/ai/index.ts'
import {
  callFields,
  callOptions,
  callTimeout,
  closedInApisix,
  definePolicy,
  jsonOf,
  openInApisix,
  Type,
} from '../kit/index.ts'

const largestAnswer = 64 * 1024 * 1024

/** Configuration and answers of APISIX's `ai-request-rewrite`. */
export default definePolicy({
  name: 'ai-request-rewrite',
  summary: 'Has a language model rewrite the body of requests.',
  details:
    'The body and the `prompt` go to the service, and what the model says takes the place of the body. Nothing else of the ' +
    'client goes along. A request without a body is answered with 400, one that is too large with 413; when the service ' +
    'does not answer with 200 and a text, the client gets 500 and the upstream nothing. What the model says is not ' +
    'checked: a client can talk it into something else.',
  stage: 'authorize',
  priority: 1073,
  config: Type.Object(
    {
      prompt: Type.String({ description: 'What the model is to do with the body.' }),
      provider,
      auth: Type.Object(simpleAuth, {
        ...closedInApisix,
        description: 'What identifies the gateway to the service.',
      }),
      options,
      override: Type.Optional(
        Type.Object(
          { endpoint },
          { ...openInApisix, description: 'What is other than with the provider itself.' },
        ),
      ),
      max_req_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description: 'Bytes of a request body.',
      }),
      ...callFields(callTimeout({ maximum: 60_000, default: 30_000 })),
    },
    openInApisix,
  ),
  validate({ provider: name, override }) {
    return override?.endpoint === undefined && typeof providerOf(name).host !== 'string'
      ? `override.endpoint is required for ${name} provider`
      : undefined
  },
  create(config, host) {
    const protocol = 'openai-chat' in providerOf(config.provider).paths ? 'openai-chat' : 'bedrock-converse'
    const calls = host.calls({ ...callOptions(config), largestAnswer })
    const { auth, options: more, override } = config
    const instance = {
      name: config.provider,
      provider: config.provider,
      auth,
      ...(more !== undefined && { options: more }),
      ...(override !== undefined && { override: { ...override, request_body_force_override: false } }),
    }

    /** @throws Error when the service does not say anything that can be used */
    async function rewritten(text: string): Promise<string> {
      const answer = await askService(
        calls,
        instance,
        protocol,
        requestFor(protocol, config.prompt, text),
        host,
      )
      if (answer.status !== 200) throw new Error(`the service answers ${answer.status}`)
      const body = jsonOf(answer)
      const texts = isJson(body) ? textsOf(body, protocol) : []
      if (texts.length === 0) throw new Error('the service says nothing')
      return texts.join(' ')
    }

    return {
      async request({ request }) {
        const body = await request.readBody(config.max_req_body_size)
        if (body === null) return { status: 413 }
        if (body === '') return { status: 400 }
        try {
          const text = await rewritten(Buffer.from(body, 'latin1').toString())
          request.setBody(Buffer.from(text).toString('latin1'))
        } catch (error) {
          host.log.error({ reason: (error as Error).message }, 'a body could not be rewritten')
          return { status: 500 }
        }
        return undefined
      },
    }
  },
})
