import {
  Cache,
  cachePlace,
  cacheTerms,
  cacheZoneFinding,
  compileParts,
  identityOf,
  placeOf,
} from '../kit/cache/index.ts'
import { definePolicy, type Exchange, openInApisix, Type } from '../kit/index.ts'

const part = { pattern: '^[^$].+$|^\\$[0-9a-zA-Z_]+$', 'x-form': 'a variable such as $arg_name, or a text' }

/** Parts of a key that already say who asks. */
const identities = ['$consumer_name', '$consumer_group_id', '$remote_user', '$http_authorization']

const switches = (description: string) =>
  Type.Optional(Type.Array(Type.String(part), { minItems: 1, description }))

/** Answers from a store; configuration, statuses and fields of APISIX's `proxy-cache`. */
export default definePolicy({
  name: 'proxy-cache',
  summary: 'Stores answers of upstreams, in memory or on disk, and answers with them.',
  details:
    '`Apisix-Cache-Status` says what became of a request: `HIT`, `MISS`, `BYPASS` (the cache was not asked), `EXPIRED` ' +
    '(stale, and a new answer came), `STALE` (the client did not take what was stored, or got it although it is stale), ' +
    '`REVALIDATED` (stale, and the upstream says that it still holds) or `UPDATING` (stale within ' +
    '`stale-while-revalidate`, while another request asks). A request with method `PURGE` has what is stored for its ' +
    'target forgotten: 200, or 404 when there was nothing. Whoever may use the route may do that; allow it with ' +
    'policies or `methods` to those who should.\n\n' +
    'In memory, an answer is fresh for `cache_ttl`; with `cache_control: true` as long as `Cache-Control` or `Expires` ' +
    'say, and clients may say with `Cache-Control` what they take. On disk it is fresh as long as it says, else for ' +
    '`cache.ttl` of the settings. Answers with `no-store`, `no-cache` or `private`, with `Vary: *`, with `Set-Cookie` ' +
    '(unless `cache_set_cookie`), of status 206, or that break off are never stored.\n\n' +
    'Where it differs from APISIX: stale answers with `ETag` or `Last-Modified` are revalidated; ' +
    '`stale-while-revalidate` and `stale-if-error` count; requests for the same wait up to 5 s for the one that asks, ' +
    'on each thread; ranges and conditions are met from the store; requests with other methods than GET, HEAD, OPTIONS ' +
    'and TRACE that succeed have what is stored for their target forgotten, unless they are cached themselves; the ' +
    'answer to HEAD is never given to GET; what is stored for POST is found only with the same body (up to 1 MiB).\n\n' +
    'Answers are always kept apart by route, scheme and host, and by what other policies made of the request for the ' +
    'upstream. With `consumer_isolation` they are kept apart by consumer, and where the gateway knows none, by the ' +
    'whole of `Authorization` (APISIX: by the name in it, which anybody can write). Without it, answers to requests ' +
    'with `Authorization` of nobody that the gateway knows are stored only if they say `public`, `s-maxage` or ' +
    '`must-revalidate` (RFC 9111, section 3.5).',
  stage: 'authorize',
  priority: 1085,
  version: 0.2,
  config: Type.Object(
    {
      ...cachePlace,
      cache_key: Type.Array(Type.String(part), {
        minItems: 1,
        default: ['$host', '$request_uri'],
        description: 'Variables and texts that answers are found by.',
      }),
      cache_bypass: switches('The cache is not asked when one of these has a value other than `0`.'),
      no_cache: switches('The answer is not stored when one of these has a value other than `0`.'),
      cache_method: Type.Array(Type.Enum(['GET', 'POST', 'HEAD']), {
        minItems: 1,
        uniqueItems: true,
        default: ['GET', 'HEAD'],
        description: 'Methods of requests that are answered from the cache.',
      }),
      cache_http_status: Type.Array(Type.Integer({ minimum: 200, maximum: 599 }), {
        minItems: 1,
        uniqueItems: true,
        default: [200, 301, 404],
        description: 'Statuses of answers that are stored.',
      }),
      hide_cache_headers: Type.Boolean({
        default: false,
        description: 'Clients do not get `Cache-Control` and `Expires`.',
      }),
      cache_control: Type.Boolean({
        default: false,
        description:
          'Whether `Cache-Control` of requests counts, and that of answers decides how long they are fresh.',
      }),
      ...cacheTerms(', unless `cache_control` says otherwise'),
      max_resp_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description:
          'Bytes of a body that is stored in memory at most; no more than a quarter of the zone and 8 MiB in any case.',
      }),
    },
    openInApisix,
  ),
  validate({ cache_key, cache_zone, cache_strategy }, zones) {
    if (cache_key.includes('$request_method')) return 'cache_key variable $request_method unsupported'
    return cacheZoneFinding(cache_zone, cache_strategy, zones)
  },
  create(config, host) {
    const zone = host.cache(config.cache_zone)
    const isMemory = config.cache_strategy === 'memory'
    const key = compileParts(config.cache_key, host)
    const saysWho = config.cache_key.some((name) => identities.includes(name))
    const isIsolated = config.consumer_isolation && !saysWho
    const isApart = isIsolated || config.cache_key.includes('$http_authorization')
    const byItself = isMemory && config.cache_control ? 0 : config.cache_ttl * 1000
    return new Cache(
      {
        methods: config.cache_method,
        statuses: config.cache_http_status,
        obeysClients: config.cache_control,
        ttl: isMemory ? byItself : (zone?.ttl ?? 0),
        ttlFirst: isMemory && !config.cache_control,
        storesCookies: isMemory && config.cache_set_cookie,
        largest: isMemory ? config.max_resp_body_size : Number.MAX_SAFE_INTEGER,
        hidesHeaders: config.hide_cache_headers,
        otherMethods: isMemory ? 'MISS' : 'BYPASS',
        storesBypassed: !isMemory,
        isApart: () => isApart,
        key: (exchange) => [...placeOf(exchange), isIsolated ? identityOf(exchange) : '', ...key(exchange)],
        bypasses: anyOf(config.cache_bypass),
        refuses: anyOf(config.no_cache),
      },
      host,
      zone?.store,
    )

    function anyOf(parts: readonly string[] | undefined): (exchange: Exchange) => boolean {
      if (parts === undefined) return () => false
      const values = compileParts(parts, host)
      return (exchange) => {
        const value = values(exchange).join('')
        return value !== '' && value !== '0'
      }
    }
  },
})
