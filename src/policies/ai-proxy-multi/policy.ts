import { embeddings, embeddingsFinding } from '../kit/ai/embedding.ts'
import {
  asking,
  type Instance,
  instanceFinding,
  logging,
  ModelClient,
  modelCall,
  type Outcome,
  readModelRequest,
  setModelCall,
  tellOf,
} from '../kit/ai/index.ts'
import { definePolicy, type Exchange, hashSourceFinding, openInApisix, Type } from '../kit/index.ts'
import { instance } from './instance.ts'
import { SemanticChoice } from './semantic-choice.ts'
import { turnsOf } from './turns.ts'

/** Configuration and answers of APISIX's `ai-proxy-multi`. */
export default definePolicy({
  name: 'ai-proxy-multi',
  summary: 'Spreads requests over several services of language models, and asks another one when one fails.',
  details:
    'As `ai-proxy`, for several instances. Those with the highest `priority` take turns by their weights, or by a hash of ' +
    'the request (`chash`). With `fallback_strategy` or `fallback_http_statuses`, the next one is asked when the answer ' +
    'is 429, is from 500 to 599 (or there is none), or has one of the statuses; each instance is asked once, and no more ' +
    'than `max_retries` after the first. When all of them failed, the client gets 502 with the last answer. With ' +
    '`rate_limiting` or `instance_health_and_rate_limiting`, an instance whose `ai-rate-limiting` is reached is passed ' +
    'over. What has begun to reach the client is never sent again.\n\n' +
    'Instances with `checks` are probed at the address of their service, once for all threads, and get no requests while ' +
    'they are unhealthy, unless all are. Unlike in APISIX, probes carry what stands in `checks` and nothing of `auth`.\n\n' +
    'With the balancer `semantic`, the last message of a user is compared with the `examples` of each instance; the nearest ' +
    'one is asked, if it is near enough, else `semantic_opts.fallback`, else the first. It alone is asked then.',
  stage: 'authorize',
  priority: 1041,
  version: 0.5,
  answers: () => true,
  config: Type.Object(
    {
      instances: Type.Array(instance, { minItems: 1, description: 'Services that are asked.' }),
      balancer: Type.Object(
        {
          algorithm: Type.Enum(['chash', 'roundrobin', 'semantic'], {
            default: 'roundrobin',
            description: 'How instances are chosen.',
          }),
          hash_on: Type.Enum(['vars', 'header', 'cookie', 'consumer', 'vars_combinations'], {
            default: 'vars',
            description: 'Where `chash` finds its key.',
          }),
          key: Type.Optional(Type.String({ description: 'Name or text that `chash` hashes.' })),
        },
        { default: {}, description: 'How requests are spread.', ...openInApisix },
      ),
      semantic_opts: Type.Optional(
        Type.Object(
          {
            embeddings,
            threshold: Type.Number({
              minimum: -1,
              maximum: 1,
              default: 0,
              description: 'How near examples have to be, as the cosine between vectors.',
            }),
            fallback: Type.Optional(
              Type.String({ minLength: 1, description: 'Instance that is asked when none is near.' }),
            ),
            debugging: Type.Boolean({
              default: false,
              description: 'Clients see `X-AI-Semantic-Scores` and `X-AI-Semantic-Picked-Instance`.',
            }),
          },
          { ...openInApisix, description: 'The choice by meaning.' },
        ),
      ),
      fallback_strategy: Type.Optional(
        Type.Union(
          [
            Type.Enum(['instance_health_and_rate_limiting', 'http_429', 'http_5xx']),
            Type.Array(Type.Enum(['rate_limiting', 'http_429', 'http_5xx'])),
          ],
          { description: 'When another instance is asked.', 'x-form': 'a strategy or a list of them' },
        ),
      ),
      fallback_http_statuses: Type.Optional(
        Type.Array(Type.Integer({ minimum: 400, maximum: 599 }), {
          minItems: 1,
          uniqueItems: true,
          description: 'Further statuses with which another instance is asked.',
        }),
      ),
      max_retries: Type.Optional(
        Type.Integer({ minimum: 0, description: 'Most instances that are asked after the first.' }),
      ),
      retry_on_failure_within_ms: Type.Optional(
        Type.Integer({ minimum: 1, description: 'A failure that took longer is passed on.' }),
      ),
      logging,
      ...asking,
    },
    openInApisix,
  ),
  validate({ instances, balancer: { algorithm, hash_on: on, key }, semantic_opts: semantic }) {
    const places = new Map<string, number>()
    for (const [at, one] of instances.entries()) {
      const before = places.get(one.name)
      if (before !== undefined)
        return `duplicate instance name '${one.name}' at instances[${before}] and instances[${at + 1}]`
      places.set(one.name, at + 1)
      const finding = instanceFinding(one as Instance)
      if (finding !== undefined) return `instance '${one.name}': ${finding}`
    }
    if (algorithm === 'chash') return hashSourceFinding(on, key)
    if (algorithm !== 'semantic') return undefined
    if (semantic === undefined)
      return 'must configure `semantic_opts.embeddings` when balancer algorithm is semantic'
    const finding = embeddingsFinding(semantic.embeddings)
    if (finding !== undefined) return finding
    const mute = instances.find(({ examples }) => examples === undefined)
    if (mute !== undefined)
      return `instance '${mute.name}': must configure non-empty \`examples\` for the semantic algorithm`
    return semantic.fallback === undefined || places.has(semantic.fallback)
      ? undefined
      : `\`semantic_opts.fallback\` names unknown instance '${semantic.fallback}'`
  },
  create(config, host) {
    const client = new ModelClient(config, host, config.logging?.payloads === true)
    const instances = new Map(config.instances.map((one) => [one.name, one as Instance]))
    const { algorithm, hash_on: on, key = '' } = config.balancer
    const order = turnsOf(config.instances, algorithm === 'chash' ? { on, key } : undefined, (priority) =>
      host.takeTurn(`ai-proxy-multi:${host.binding.owner}:${priority}`),
    )
    const watched = new Map(
      config.instances.flatMap(({ name, checks }, at) =>
        checks === undefined ? [] : [[name, host.upstream({ path: ['instances', at] })]],
      ),
    )
    const isUp = (name: string) => watched.get(name)?.isUp ?? true
    const { semantic_opts: opts } = config
    const semantic =
      algorithm === 'semantic' && opts !== undefined
        ? new SemanticChoice(config.instances, opts, callsFor(opts.embeddings), host)
        : null
    const strategies = [config.fallback_strategy ?? []].flat() as string[]
    const avoidsLimits = strategies.some((name) => name.includes('rate_limiting'))
    const statuses = new Set(config.fallback_http_statuses)
    const most = config.max_retries ?? config.instances.length
    const within = config.retry_on_failure_within_ms ?? Number.POSITIVE_INFINITY

    function callsFor({ timeout, ssl_verify: verify }: NonNullable<typeof opts>['embeddings']) {
      return host.calls({ timeout, verify, largestAnswer: 64 * 1024 * 1024 })
    }

    function falls({ status }: Outcome): boolean {
      if (statuses.has(status)) return true
      return (
        (status === 429 && strategies.includes('http_429')) ||
        (status >= 500 && strategies.includes('http_5xx'))
      )
    }

    async function serve(exchange: Exchange) {
      const call = modelCall(exchange)
      if (call === undefined) return undefined
      for (let tried = 0; ; tried++) {
        const begun = performance.now()
        const outcome = await client.ask(exchange, call, instances.get(call.instances[0]!)!, statuses)
        const isGone = exchange.outcome !== 'pending'
        if (isGone || tried >= most || !falls(outcome) || performance.now() - begun > within)
          return outcome.verdict
        if (call.instances.length === 1)
          return tried === 0 ? outcome.verdict : { ...outcome.verdict, status: 502 }
        outcome.verdict.relay?.close()
        call.instances.shift()
      }
    }

    return {
      async request(exchange) {
        const read = await readModelRequest(exchange, config.max_req_body_size)
        if ('refusal' in read) return read.refusal
        const names = semantic === null ? order(exchange, isUp) : [await semantic.choose(exchange, read.call)]
        if (names.length === 0) return { status: 503, body: 'no instance has a weight' }
        setModelCall(exchange, { ...read.call, instances: names, avoidsLimits })
      },
      serve,
      observe: tellOf(config.logging),
    }
  },
})
