import {
  asking,
  auth,
  type Instance,
  instanceFinding,
  logging,
  ModelClient,
  modelCall,
  options,
  override,
  provider,
  providerConf,
  readModelRequest,
  setModelCall,
  tellOf,
} from '../kit/ai/index.ts'
import { definePolicy, openInApisix, Type } from '../kit/index.ts'

const none: ReadonlySet<number> = new Set()

/** Configuration and answers of APISIX's `ai-proxy`. */
export default definePolicy({
  name: 'ai-proxy',
  summary: 'Sends requests to the service of a provider of language models.',
  details:
    'The format of a request is told by its path and body: `/v1/messages` (Anthropic), `/v1/responses`, `messages` ' +
    '(chat), `input` (embeddings); any other JSON object is passed on to the path of the request. A format that the ' +
    'provider does not take is answered with 400. Fields of the client go along, without `Host` and ' +
    "`Accept-Encoding`; those of `auth.header` take the place of the client's. Streams are passed on as they come, and " +
    'broken off when they are cut, too long or too large. A service that cannot be reached is answered with 500, one ' +
    'that takes too long with 504; its 429 and 5xx reach the client with their bodies.\n\n' +
    'Requests in the format of Anthropic are put into that of OpenAI, and answers and streams back, for providers that ' +
    'take only the latter; embeddings into the format of Vertex AI. A stream that cannot be put back is answered with 502. ' +
    'Requests for `bedrock` come under a path that ends with `/converse`, and are signed.\n\n' +
    'A route with this policy needs no upstream. Redirects are not followed. `keepalive_pool` makes no difference: ' +
    'connections are opened as they are needed, and closed when they are idle. Variables such as `llm_model` and ' +
    '`llm_total_tokens` are known when the answer is complete, for loggers and metrics.',
  stage: 'authorize',
  priority: 1040,
  version: 0.5,
  answers: () => true,
  config: Type.Object(
    { provider, provider_conf: providerConf, auth, options, override, logging, ...asking },
    openInApisix,
  ),
  validate: (config) => instanceFinding(config),
  create(config, host) {
    const client = new ModelClient(config, host, config.logging?.payloads === true)
    const instance = { ...config, name: `ai-proxy-${config.provider}` } as Instance
    return {
      async request(exchange) {
        const read = await readModelRequest(exchange, config.max_req_body_size)
        if ('refusal' in read) return read.refusal
        setModelCall(exchange, { ...read.call, instances: [instance.name] })
      },
      async serve(exchange) {
        const call = modelCall(exchange)
        if (call === undefined) return undefined
        return (await client.ask(exchange, call, instance, none)).verdict
      },
      observe: tellOf(config.logging),
    }
  },
})
