import {
  Cache,
  cachePlace,
  cacheTerms,
  cacheZoneFinding,
  digestOf,
  identityOf,
  placeOf,
} from '../kit/cache/index.ts'
import {
  definePolicy,
  type Exchange,
  type GraphqlRequest,
  headerName,
  openInApisix,
  postedGraphql,
  queriedGraphql,
  Type,
  type Verdict,
} from '../kit/index.ts'

const keyField = headerName('APISIX-Cache-Key')
const statusField = headerName('Apisix-Cache-Status')

const otherMethod: Verdict = { status: 405 }
const unusable: Verdict = { status: 400 }
const notThere: Verdict = { status: 404 }
const gone: Verdict = { status: 200, body: '' }

/** Answers to GraphQL from a store; configuration, statuses and fields of APISIX's `graphql-proxy-cache`. */
export default definePolicy({
  name: 'graphql-proxy-cache',
  summary: 'Stores answers to GraphQL queries, in memory or on disk, and answers with them.',
  details:
    'Queries come by `GET` in `query`, or by `POST` as `application/json` or `application/graphql`; anything else is ' +
    '405, or 400 with a `message`. What is not a query is never stored and never answered from the store: ' +
    '`Apisix-Cache-Status: BYPASS`. Otherwise it says what [proxy-cache](#proxy-cache) says, whose rules hold: 200 only, ' +
    'in memory for `cache_ttl`, on disk as long as the answer says, else for `cache.ttl` of the settings.\n\n' +
    'Answers are kept apart by route, host, the whole query or body, and, with `consumer_isolation`, by who asks. ' +
    '`APISIX-Cache-Key` tells the key. `PURGE /apisix/plugin/graphql-proxy-cache/STRATEGY/ROUTE/KEY`, on a route with ' +
    '[public-api](#public-api), has it forgotten: 200; 404 when there was nothing, 400 when the route has another ' +
    'strategy. Allow it with policies to those who should.\n\nUnlike in APISIX, subscriptions are not stored either, ' +
    'and a key is good for its own route only.',
  stage: 'authorize',
  priority: 1009,
  config: Type.Object(
    {
      ...cachePlace,
      ...cacheTerms(),
    },
    openInApisix,
  ),
  validate: ({ cache_zone, cache_strategy }, zones) => cacheZoneFinding(cache_zone, cache_strategy, zones),
  async publicApi({ request }, host, path) {
    const [, , , , strategy, routeId = '', key = '', ...more] = path.split('/')
    if (request.method !== 'PURGE') return notThere
    if ((strategy !== 'disk' && strategy !== 'memory') || routeId === '' || key === '' || more.length > 0)
      return unusable
    const config = host.configOf(routeId) as { cache_strategy?: string; cache_zone?: string } | undefined
    if (config === undefined) return notThere
    if (config.cache_strategy !== strategy) return unusable
    const store = host.cache(config.cache_zone ?? '')?.store
    return store?.remove(digestOf(stored(routeId, key))) ? gone : notThere
  },
  create(config, host) {
    const zone = host.cache(config.cache_zone)
    const isMemory = config.cache_strategy === 'memory'
    const keys = new WeakMap<Exchange, string>()
    const cache = new Cache(
      {
        methods: ['GET', 'POST'],
        statuses: [200],
        obeysClients: false,
        ttl: isMemory ? config.cache_ttl * 1000 : (zone?.ttl ?? 0),
        ttlFirst: isMemory,
        storesCookies: isMemory && config.cache_set_cookie,
        largest: Number.MAX_SAFE_INTEGER,
        hidesHeaders: false,
        otherMethods: 'BYPASS',
        storesBypassed: false,
        isApart: () => config.consumer_isolation,
        key: (exchange) => stored(exchange.binding?.routeId ?? '', keys.get(exchange) ?? ''),
        bypasses: () => false,
        refuses: () => false,
      },
      host,
      zone?.store,
    )
    // Has the body held as far as the settings let GraphQL go.
    host.variable('graphql_name')

    function keyOf(exchange: Exchange, text: string): string {
      const identity = config.consumer_isolation ? identityOf(exchange) : ''
      const parts = [...placeOf(exchange), identity, JSON.stringify(config), exchange.request.method, text]
      return digestOf(parts).toString('hex')
    }

    return {
      request(exchange) {
        const { request } = exchange
        const isPost = request.method === 'POST'
        if (!isPost && request.method !== 'GET') return otherMethod
        const body = isPost ? request.heldBody(Number.MAX_SAFE_INTEGER) : null
        const asked = isPost ? postedGraphql(body, request) : queriedGraphql(request)
        if ('status' in asked) return asked
        if (!asksOnly(asked)) {
          exchange.answer.set(statusField, 'BYPASS')
          return undefined
        }
        const key = keyOf(exchange, body ?? request.query)
        keys.set(exchange, key)
        exchange.answer.set(keyField, key)
        return cache.request(exchange)
      },
      receive: (exchange) => (keys.has(exchange) ? cache.receive(exchange) : undefined),
      observe: cache.observe,
    }
  },
})

/** What answers of a route are stored under. */
const stored = (routeId: string, key: string): string[] => ['graphql', routeId, key]

function asksOnly({ definitions }: GraphqlRequest): boolean {
  return definitions.every(({ operation }) => operation === undefined || operation === 'query')
}
