import { definePolicy, type Exchange, openInApisix, type Presence, Type, type Verdict } from '../kit/index.ts'
import {
  absentStore,
  compileCombination,
  compileKey,
  compileQuantity,
  counterPrefix,
  quantity,
  quantityFinding,
  redisFields,
  redisFinding,
  redisInApisix,
  rejection,
  rejectionFields,
  setRetryAfter,
  sharedDecisions,
} from '../kit/limits/index.ts'

const connections = quantity('Requests under way that pass at once.', { exclusiveMinimum: 0 })
const burst = quantity('Requests under way beyond `conn` that have to wait.', { minimum: 0 })

const countingKey = Type.String({
  description: 'What requests are counted by. The client address stands in when it has no value.',
})
const keyType = Type.Enum(['var', 'var_combination'], {
  default: 'var',
  description: 'Whether `key` is one variable or a text with variables.',
})
const delay = Type.Number({ exclusiveMinimum: 0, description: 'Seconds that the burst waits.' })
const onlyDefaultDelay = Type.Boolean({
  default: false,
  description: 'Known because APISIX has it; see below.',
})

/** What APISIX has of it on streams. */
const streamConfig = Type.Object(
  {
    conn: Type.Integer({ exclusiveMinimum: 0, description: 'Sessions that pass at once.' }),
    burst: Type.Integer({ minimum: 0, description: 'Sessions beyond `conn` that have to wait.' }),
    default_conn_delay: delay,
    only_use_default_delay: onlyDefaultDelay,
    key: countingKey,
    key_type: keyType,
  },
  openInApisix,
)

/** One limit, as requests use it. */
interface Rule {
  conn(exchange: Exchange): number
  burst(exchange: Exchange): number
  /** Undefined: the rule does not apply. */
  key(exchange: Exchange): string | undefined
}

/** How many requests are under way; configuration and answers of APISIX's `limit-conn`. */
export default definePolicy({
  name: 'limit-conn',
  summary: 'Limits how many requests are under way at the same time.',
  details:
    'Up to `conn` requests with one key are under way at once. Up to `burst` more wait before they go on: ' +
    '`default_conn_delay` seconds, that twice beyond `2 * conn`, and so on. What is beyond is rejected with ' +
    '`rejected_code` and `{"error_msg":"..."}` when `rejected_msg` is set, else the page of that status, and with ' +
    '`Retry-After`, which APISIX does not send. A request counts until the last byte of its answer, also while it ' +
    'waits.\n\nWith `rules`, each rule counts for itself, in their order. A rule without a value for any variable of ' +
    'its key, or without valid numbers, does not apply; when none does, the request is answered with 500, or passes ' +
    'with `allow_degradation`.\n\nLocal counts are exact across all threads of a node, and outlive no thread: what a thread ' +
    'that dies had under way is taken out. As in APISIX 3.18, `only_use_default_delay` makes no difference: waits do ' +
    'not follow the latency of the upstream in either case. A request that waits is let go when its client goes ' +
    'away; a thread has at most 10000 waiting, and rejects what would be more.\n\nOn streams it counts sessions, of this ' +
    'node; it takes `conn`, `burst`, `default_conn_delay`, `only_use_default_delay`, `key` and `key_type` there, and ' +
    'closes what is beyond.',
  stage: 'limit',
  priority: 1003,
  stream: { config: streamConfig },
  config: Type.Object(
    {
      conn: Type.Optional(connections),
      burst: Type.Optional(burst),
      default_conn_delay: delay,
      only_use_default_delay: onlyDefaultDelay,
      key: Type.Optional(countingKey),
      key_type: keyType,
      rules: Type.Optional(
        Type.Array(
          Type.Object(
            { conn: connections, burst, key: Type.String({ description: 'A text with variables.' }) },
            openInApisix,
          ),
          { description: 'Several limits in place of `conn`, `burst` and `key`.' },
        ),
      ),
      ...rejectionFields,
      allow_degradation: Type.Boolean({
        default: false,
        description: 'Let requests pass while they cannot be counted, rather than answer 500.',
      }),
      policy: Type.Enum(['local', 'redis', 'redis-cluster'], {
        default: 'local',
        description:
          'Where requests are counted: by this node, exactly across its threads, or in Redis for all nodes.',
      }),
      ...redisFields,
      key_ttl: Type.Optional(
        Type.Integer({
          description: 'Seconds that a request counts in Redis at most. Default: 3600.',
        }),
      ),
      absent_store: absentStore,
    },
    {
      'x-apisix': {
        additionalProperties: undefined,
        required: undefined,
        oneOf: [
          { required: ['conn', 'burst', 'default_conn_delay', 'key'] },
          { required: ['default_conn_delay', 'rules'] },
        ],
        ...redisInApisix(['redis', 'redis-cluster'], { key_ttl: { type: 'integer', default: 3600 } }),
      },
    },
  ),
  validate(config) {
    const { rules, conn, burst, key } = config
    const single = [conn, burst, key].filter((value) => value !== undefined).length
    if (rules === undefined && single < 3) return "'conn', 'burst' and 'key' are needed, or 'rules'"
    if (rules !== undefined && single === 3) return "'rules' stands in place of 'conn', 'burst' and 'key'"
    for (const rule of rules ?? [config]) {
      const finding = quantityFinding('conn', rule.conn) ?? quantityFinding('burst', rule.burst, 0)
      if (finding !== undefined) return finding
    }
    return redisFinding(config)
  },
  create(config, host) {
    const { limiter, delays } = host
    const prefix = counterPrefix('limit-conn', host.binding.owner, config)
    const delayMs = config.default_conn_delay * 1000
    const rejected = rejection(config)
    const shared = sharedDecisions('limit-conn', config, host)
    const ttlMs = (config.key_ttl ?? 3600) * 1000
    const failed: Verdict = { status: 500 }
    const present = new WeakMap<Exchange, Presence[]>()
    const rules: Rule[] = (config.rules ?? []).map((rule) => ({
      conn: compileQuantity(rule.conn, host),
      burst: compileQuantity(rule.burst, host, 0),
      key: compileCombination(rule.key, host),
    }))
    if (config.rules === undefined)
      rules.push({
        conn: compileQuantity(config.conn!, host),
        burst: compileQuantity(config.burst!, host, 0),
        key: compileKey(config.key_type, config.key!, host),
      })

    function reject(exchange: Exchange) {
      setRetryAfter(exchange, delayMs)
      return rejected
    }

    /** Counts the request by the rules from `index` on. */
    function count(
      exchange: Exchange,
      index: number,
      applied: boolean,
    ): Verdict | undefined | Promise<Verdict | undefined> {
      for (let at = index; at < rules.length; at++) {
        const rule = rules[at]!
        const conn = rule.conn(exchange)
        const most = conn + rule.burst(exchange)
        const key = rule.key(exchange)
        if (key === undefined || Number.isNaN(most)) continue
        applied = true
        if (shared !== undefined) return enterShared(exchange, at, prefix + key, conn, most)
        const presence = limiter.enter(prefix + key, most)
        if (presence === null) return reject(exchange)
        const pending = stay(exchange, presence, conn)
        if (pending === null) return reject(exchange)
        if (pending !== undefined) return goOn(pending, exchange, at + 1)
      }
      return applied || config.allow_degradation ? undefined : failed
    }

    /** @returns how long it has to wait; undefined: not at all, null: too many wait already */
    function stay(exchange: Exchange, presence: Presence, conn: number): Promise<void> | undefined | null {
      const others = present.get(exchange)
      if (others) others.push(presence)
      else present.set(exchange, [presence])
      if (presence.count <= conn) return undefined
      return delays.wait(delayMs * Math.floor((presence.count - 1) / conn), exchange) ?? null
    }

    async function enterShared(
      exchange: Exchange,
      at: number,
      key: string,
      conn: number,
      most: number,
    ): Promise<Verdict | undefined> {
      const { store } = shared!
      const id = `${exchange.id}:${at}`
      const entered = await shared!.decide<Presence | null>(
        async () => {
          const count = await store.enter(key, id, most, ttlMs)
          return count === 0 ? null : { count, leave: () => void store.leave(key, id) }
        },
        () => limiter.enter(key, most),
      )
      if (entered === 'closed') return failed
      if (entered === null) return reject(exchange)
      if (exchange.outcome !== 'pending') {
        if (entered !== 'open') entered.leave()
        return undefined
      }
      if (entered !== 'open') {
        const pending = stay(exchange, entered, conn)
        if (pending === null) return reject(exchange)
        if (pending !== undefined) return goOn(pending, exchange, at + 1)
      }
      return count(exchange, at + 1, true)
    }

    async function goOn(pending: Promise<void>, exchange: Exchange, index: number) {
      await pending
      return exchange.outcome === 'pending' ? count(exchange, index, true) : undefined
    }

    return {
      request(exchange) {
        // Its client went away while another policy took its time: nobody would take it out again.
        return exchange.outcome === 'pending' ? count(exchange, 0, false) : undefined
      },
      observe(exchange) {
        const presences = present.get(exchange)
        if (presences === undefined) return
        present.delete(exchange)
        delays.release(exchange)
        for (const presence of presences) presence.leave()
      },
    }
  },
})
