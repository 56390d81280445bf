/**
 * A cache for one binding of a policy (RFC 9111): what it stores, what it answers with, and what it asks the upstream again.
 * An answer is found by its key, which leads to the fields that it varies by, which lead to the answer itself; so to forget
 * a key is to forget all that is stored under it.
 */
import { randomUUID } from 'node:crypto'
import type { Exchange, PolicyHandlers, Tap, Verdict } from '../../../proxy/exchange.ts'
import { headerName } from '../../../proxy/headers.ts'
import type { CacheStore, EntryWriter, StoredEntry } from '../../../proxy/shared/cache-store.ts'
import type { PolicyHost } from '../host.ts'
import { type Asked, ageOf, type Known, storedAnswer } from './answer.ts'
import { type Directives, parseDirectives, seconds, secondsOf } from './directives.ts'
import { initialAge, lifetimeOf } from './freshness.ts'
import { parseHttpDate } from './http-date.ts'
import { digestOf, varyNames, varyValues } from './key.ts'

/** How long a request waits for another one that asks for the same. */
const longestWait = 5000
/** Of a request body that takes part in the key. */
const largestBody = 1024 * 1024
/** Names in `Vary`; what varies by more is not stored. */
const mostNames = 16

export interface CacheRules {
  readonly methods: readonly string[]
  readonly statuses: readonly number[]
  /** Clients may say with `Cache-Control` what they take, and answers that say nothing are not fresh. */
  readonly obeysClients: boolean
  /** Milliseconds that an answer is fresh; whether that counts before what the answer says itself. */
  readonly ttl: number
  readonly ttlFirst: boolean
  readonly storesCookies: boolean
  /** Bytes of a body that is stored. */
  readonly largest: number
  readonly hidesHeaders: boolean
  /** What is said of a request that is not answered from the cache for its method. */
  readonly otherMethods: 'MISS' | 'BYPASS'
  /** A request that is not answered from the cache still leaves its answer there. */
  readonly storesBypassed: boolean
  /** Answers are kept apart by what a request identifies itself with. */
  isApart(exchange: Exchange): boolean
  /** Parts of the key. */
  key(exchange: Exchange): readonly string[]
  bypasses(exchange: Exchange): boolean
  refuses(exchange: Exchange): boolean
}

type Status = 'HIT' | 'MISS' | 'BYPASS' | 'EXPIRED' | 'STALE' | 'REVALIDATED' | 'UPDATING'

const statusField = headerName('Apisix-Cache-Status')
const cacheControl = headerName('Cache-Control')
const expires = headerName('Expires')
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])
const errorStatuses = new Set([500, 502, 503, 504])
const onlyIfCached: Verdict = { status: 504 }
const gone: Verdict = { status: 200, body: '' }
const notThere: Verdict = { status: 404 }

/** Fields that belong to a connection or are made anew (RFC 9111 3.1). */
const notStored = new Set([
  'age',
  'apisix-cache-status',
  'connection',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** What a 304 says of these is not about the body that is stored (RFC 9111 3.2). */
const ofBody = new Set(['content-encoding', 'content-range'])

/** What a key leads to. */
interface Index {
  /** Another one whenever what was stored under the key must not be found any more. */
  readonly generation: string
  readonly vary: readonly string[]
}

/** A stored answer that was found. */
interface Found {
  readonly digest: Buffer
  readonly entry: StoredEntry
  readonly known: Known
}

/** One request on its way. */
interface Work {
  readonly key: Buffer
  /** Tells answers under one key apart by what was asked for: GET, HEAD, or POST with its body. */
  readonly kind: string
  readonly asked: Asked
  readonly directives: Directives
  /** Of the index when the request came; empty: there was none. */
  generation: string
  stores: boolean
  /** A stale answer that the upstream is asked about. */
  stale: Found | null
  writer: EntryWriter | null
  /** Others wait for this one. */
  leads: string
}

/** Milliseconds by which a clock that is kept right is set back at most. */
const largestCorrection = 10_000

export class Cache implements PolicyHandlers {
  readonly #rules: CacheRules
  readonly #host: Pick<PolicyHost, 'delays' | 'now' | 'log'>
  readonly #store: CacheStore | undefined
  readonly #works = new WeakMap<Exchange, Work>()
  /** Keys that other requests are asking for, with those that wait for the outcome. */
  readonly #flights = new Map<string, Set<Exchange>>()
  /** Requests that may have made what is stored wrong. */
  readonly #unsafe = new WeakMap<Exchange, Buffer>()

  constructor(
    rules: CacheRules,
    host: Pick<PolicyHost, 'delays' | 'now' | 'log'>,
    store: CacheStore | undefined,
  ) {
    this.#rules = rules
    this.#host = host
    this.#store = store
  }

  request = (exchange: Exchange): Verdict | undefined | Promise<Verdict | undefined> => {
    const rules = this.#rules
    const { method } = exchange.request
    if (method === 'PURGE') return this.purge(exchange)
    if (rules.hidesHeaders) {
      exchange.answer.remove(cacheControl)
      exchange.answer.remove(expires)
    }
    if (this.#store === undefined || !rules.methods.includes(method)) {
      if (!safeMethods.has(method)) this.#unsafe.set(exchange, digestOf(rules.key(exchange)))
      say(exchange, rules.otherMethods)
      return undefined
    }
    if (method !== 'POST') return this.#begin(exchange, method === 'HEAD' ? 'H' : 'G')
    return exchange.request.readBody(largestBody).then((body) => {
      if (body !== null) return this.#begin(exchange, `P${body}`)
      say(exchange, 'BYPASS')
      return undefined
    })
  }

  receive = (exchange: Exchange): Verdict | Tap | undefined => {
    const { status, fromUpstream } = exchange.response
    const unsafe = this.#unsafe.get(exchange)
    if (unsafe !== undefined && fromUpstream && status >= 200 && status < 400) this.#store?.remove(unsafe)
    const work = this.#works.get(exchange)
    if (work === undefined) return undefined
    const { stale } = work
    if (stale !== null) {
      if (fromUpstream && status === 304) return this.#revalidated(exchange, work, stale)
      if ((!fromUpstream || errorStatuses.has(status)) && this.#toleratesError(work, stale.known)) {
        this.#land(work)
        return this.#use(exchange, work, stale, 'STALE')
      }
      stale.entry.close()
      work.stale = null
    }
    const known = fromUpstream && work.stores ? this.#worthStoring(exchange, work) : null
    work.writer = known === null ? null : this.#store!.begin()
    if (known === null || work.writer === null) {
      this.#land(work)
      return undefined
    }
    if (work.kind === 'H') {
      const length = exchange.response.headers.get('content-length') ?? ''
      this.#commit(exchange, work, { ...known, headLength: length })
      return undefined
    }
    return new Taken(work.writer, this.#rules.largest, {
      complete: () => this.#commit(exchange, work, known),
      given: () => this.#giveUp(work),
    })
  }

  observe = (exchange: Exchange): void => {
    const work = this.#works.get(exchange)
    if (work === undefined) return
    this.#works.delete(exchange)
    this.#host.delays.release(exchange)
    work.stale?.entry.close()
    this.#giveUp(work)
  }

  /** Forgets what is stored for the request, however it was asked for. */
  purge(exchange: Exchange): Verdict {
    return this.#store?.remove(digestOf(this.#rules.key(exchange))) ? gone : notThere
  }

  #begin(exchange: Exchange, kind: string): Verdict | undefined | Promise<Verdict | undefined> {
    const rules = this.#rules
    const { headers } = exchange.request
    const directives = rules.obeysClients ? parseDirectives(headers.getAll('cache-control')) : noDirectives
    const work: Work = {
      key: digestOf(rules.key(exchange)),
      kind,
      directives,
      asked: {
        isHead: exchange.request.method === 'HEAD',
        noneMatch: headers.getAll('if-none-match'),
        modifiedSince: headers.get('if-modified-since'),
        range: headers.get('range'),
        ifRange: headers.get('if-range'),
      },
      generation: '',
      stores: true,
      stale: null,
      writer: null,
      leads: '',
    }
    const refused = directives.has('no-store') || directives.has('no-cache')
    // What a request is conditional on is the upstream's to know.
    const passes = headers.has('if-match') || headers.has('if-unmodified-since')
    if (refused || passes || rules.bypasses(exchange)) {
      say(exchange, 'BYPASS')
      work.stores = rules.storesBypassed && !passes && !directives.has('no-store')
      if (work.stores) this.#works.set(exchange, work)
      return undefined
    }
    this.#works.set(exchange, work)
    return this.#serve(exchange, work, true)
  }

  #serve(
    exchange: Exchange,
    work: Work,
    mayWait: boolean,
  ): Verdict | undefined | Promise<Verdict | undefined> {
    const flight = `${work.key.toString('latin1')}${work.kind}`
    const found = this.#find(exchange, work)
    if (found !== null) {
      const now = this.#host.now()
      const status = this.#fitness(work, found.known, now)
      if (status === 'HIT') return this.#use(exchange, work, found, 'HIT')
      const { known } = found
      const tolerated =
        now < known.at + known.freshFor + known.whileRevalidating * 1000 && !known.mustRevalidate
      if (tolerated && this.#flights.has(flight)) return this.#use(exchange, work, found, 'UPDATING')
      if (status === 'STALE' && this.#takesStale(work, known, now))
        return this.#use(exchange, work, found, 'STALE')
      say(exchange, status)
      if (!mayWait || !this.#flights.has(flight)) {
        if (work.directives.has('only-if-cached')) {
          found.entry.close()
          return onlyIfCached
        }
        this.#ask(exchange, work, found)
        this.#lead(work, flight)
        return undefined
      }
      found.entry.close()
    } else {
      say(exchange, 'MISS')
      if (work.directives.has('only-if-cached')) return onlyIfCached
      if (!mayWait || !this.#flights.has(flight)) {
        this.#lead(work, flight)
        return undefined
      }
    }
    return this.#wait(exchange, work, flight)
  }

  #wait(exchange: Exchange, work: Work, flight: string): Promise<Verdict | undefined> | undefined {
    const pending = this.#host.delays.wait(longestWait, exchange)
    if (pending === undefined) return undefined
    const waiting = this.#flights.get(flight)!
    waiting.add(exchange)
    return pending.then(() => {
      waiting.delete(exchange)
      return exchange.outcome === 'pending' ? this.#serve(exchange, work, false) : undefined
    })
  }

  #lead(work: Work, flight: string): void {
    if (this.#flights.has(flight)) return
    work.leads = flight
    this.#flights.set(flight, new Set())
  }

  /** Whoever waits for this request goes on. */
  #land(work: Work): void {
    if (work.leads === '') return
    const waiting = this.#flights.get(work.leads)
    this.#flights.delete(work.leads)
    work.leads = ''
    for (const exchange of waiting ?? []) this.#host.delays.release(exchange)
  }

  #giveUp(work: Work): void {
    work.writer?.abort()
    work.writer = null
    this.#land(work)
  }

  #find(exchange: Exchange, work: Work): Found | null {
    const index = this.#index(work.key)
    work.generation = index?.generation ?? ''
    if (index === null) return null
    const values = varyValues(exchange.request.headers, index.vary)
    const found = this.#load(digestOf([index.generation, work.kind === 'H' ? 'G' : work.kind, ...values]))
    return found === null && work.kind === 'H'
      ? this.#load(digestOf([index.generation, 'H', ...values]))
      : found
  }

  #load(digest: Buffer): Found | null {
    const entry = this.#store!.get(digest)
    return entry && { digest, entry, known: JSON.parse(entry.meta) as Known }
  }

  #index(key: Buffer): Index | null {
    const entry = this.#store!.get(key)
    if (entry === null) return null
    entry.close()
    return JSON.parse(entry.meta) as Index
  }

  /** Whether an answer may be used as it is: `HIT`; else what is said of one that has to be asked about. */
  #fitness({ directives }: Work, known: Known, now: number): 'HIT' | 'STALE' | 'EXPIRED' {
    const left = known.at + known.freshFor - now
    // From a time that is yet to come: the clock was set back, and how old it is nobody knows.
    if (known.at - now > largestCorrection) return 'EXPIRED'
    if (left <= 0) return directives.has('max-stale') ? 'STALE' : 'EXPIRED'
    const oldest = secondsOf(directives, 'max-age')
    if (oldest !== undefined && ageOf(known, now) > oldest) return 'STALE'
    const freshest = secondsOf(directives, 'min-fresh')
    return freshest !== undefined && left < freshest * 1000 ? 'STALE' : 'HIT'
  }

  /** RFC 9111 5.2.1.2. */
  #takesStale({ directives }: Work, known: Known, now: number): boolean {
    const most = directives.get('max-stale')
    if (
      most === undefined ||
      known.mustRevalidate ||
      directives.has('max-age') ||
      directives.has('min-fresh')
    )
      return false
    return most === '' || now - known.at - known.freshFor <= seconds(most) * 1000
  }

  #toleratesError({ directives }: Work, known: Known): boolean {
    if (known.mustRevalidate) return false
    const most = Math.max(known.ifError, secondsOf(directives, 'stale-if-error') ?? 0)
    return this.#host.now() < known.at + known.freshFor + most * 1000
  }

  #use(exchange: Exchange, work: Work, { entry, known }: Found, status: Status): Verdict {
    work.stale = null
    say(exchange, status)
    return storedAnswer(known, entry, work.asked, this.#host.now())
  }

  /** Has the upstream say whether what is stored still holds (RFC 9111 4.3.1). */
  #ask({ request }: Exchange, work: Work, found: Found): void {
    const { known } = found
    // The answer to HEAD has no body that a GET could be answered with.
    const isHead = known.headLength !== undefined
    if ((known.etag === '' && known.modified === '') || (work.kind === 'H') !== isHead) {
      found.entry.close()
      return
    }
    work.stale = found
    const { headers } = request
    for (const name of ['if-none-match', 'if-modified-since', 'range', 'if-range']) headers.remove(name)
    if (known.etag !== '') headers.set('If-None-Match', known.etag)
    if (known.modified !== '') headers.set('If-Modified-Since', known.modified)
  }

  /** What is stored still holds: it is as good as new (RFC 9111 4.3.4). */
  #revalidated(exchange: Exchange, work: Work, found: Found): Verdict {
    const changed = fieldLines(exchange).filter(({ name }) => !ofBody.has(name))
    const names = new Set(changed.map(({ name }) => name))
    const kept = found.known.fields.split('\r\n').filter((line) => {
      const name = line.slice(0, line.indexOf(':')).toLowerCase()
      return line !== '' && !names.has(name)
    })
    const fields = [...kept, ...changed.map(({ line }) => line)]
    const { headers } = exchange.response
    const known = {
      ...found.known,
      ...this.#times(exchange),
      fields: fields.map((line) => `${line}\r\n`).join(''),
    }
    const directives = parseDirectives(headers.getAll('cache-control'))
    if (forbids(directives)) this.#store!.remove(found.digest)
    else this.#store!.setMeta(found.digest, JSON.stringify(known), found.entry)
    this.#land(work)
    return this.#use(exchange, work, { ...found, known }, 'REVALIDATED')
  }

  /** What is known of the answer that came, if it may be stored (RFC 9111 3). */
  #worthStoring(exchange: Exchange, work: Work): Known | null {
    const rules = this.#rules
    const { status, headers } = exchange.response
    if (!rules.statuses.includes(status) || status === 206 || status === 304 || rules.refuses(exchange))
      return null
    const directives = parseDirectives(headers.getAll('cache-control'))
    if (forbids(directives) || work.directives.has('no-store')) return null
    if (!rules.storesCookies && headers.has('set-cookie')) return null
    const vary = varyNames(headers)
    if (vary === null || vary.length > mostNames) return null
    if (!this.#mayShare(exchange, directives)) return null
    const times = this.#times(exchange)
    if (times.freshFor <= 0) return null
    const lines = fieldLines(exchange)
    if (!lines.some(({ name }) => name === 'date')) {
      const date = new Date(times.at).toUTCString()
      lines.push({ name: 'date', line: `Date: ${date}` })
    }
    return {
      status,
      fields: lines.map(({ line }) => `${line}\r\n`).join(''),
      etag: headers.get('etag') ?? '',
      modified: headers.get('last-modified') ?? '',
      ...times,
    }
  }

  #times(exchange: Exchange) {
    const { ttl, ttlFirst } = this.#rules
    const now = this.#host.now()
    const directives = parseDirectives(exchange.response.headers.getAll('cache-control'))
    const date = parseHttpDate(exchange.response.headers.get('date')) ?? now
    const { age, freshFor } = ttlFirst
      ? { age: initialAge(exchange, date, now), freshFor: ttl }
      : lifetimeOf(exchange, directives, now, ttl)
    return {
      at: now,
      age,
      freshFor,
      whileRevalidating: secondsOf(directives, 'stale-while-revalidate') ?? 0,
      ifError: secondsOf(directives, 'stale-if-error') ?? 0,
      // A shared cache must not go beyond `s-maxage` either (RFC 9111 5.2.2.10).
      mustRevalidate: ['must-revalidate', 'proxy-revalidate', 's-maxage'].some((name) =>
        directives.has(name),
      ),
    }
  }

  /** RFC 9111 3.5: an answer to somebody who identified himself is for him, unless it says otherwise. */
  #mayShare(exchange: Exchange, directives: Directives): boolean {
    if (exchange.request.headers.sent('authorization') === undefined) return true
    if (['public', 's-maxage', 'must-revalidate'].some((name) => directives.has(name))) return true
    if (exchange.consumer !== null) return true
    return !this.#rules.obeysClients && this.#rules.isApart(exchange)
  }

  #commit(exchange: Exchange, work: Work, known: Known): void {
    const writer = work.writer!
    work.writer = null
    const before = this.#index(work.key)
    // Somebody had it forgotten since this request came: what it got may be what was to be forgotten.
    if (before === null && work.generation !== '') {
      writer.abort()
      this.#land(work)
      return
    }
    const names = varyNames(exchange.response.headers) ?? []
    const vary = [...new Set([...(before?.vary ?? []), ...names])].sort()
    const isSame = before !== null && vary.length === before.vary.length
    const index = isSame ? before : { generation: randomUUID(), vary }
    const values = varyValues(exchange.request.headers, vary)
    const digest = digestOf([index.generation, work.kind, ...values])
    if (writer.commit(digest, JSON.stringify(known)) && !isSame)
      this.#store!.begin()?.commit(work.key, JSON.stringify(index))
    this.#land(work)
  }
}

const noDirectives: Directives = new Map()

/** Stores the body while the client gets it. */
class Taken implements Tap {
  readonly #writer: EntryWriter
  readonly #ends: { complete(): void; given(): void }
  #left: number
  #over = false

  constructor(writer: EntryWriter, largest: number, ends: { complete(): void; given(): void }) {
    this.#writer = writer
    this.#left = largest
    this.#ends = ends
  }

  write(piece: Buffer): void {
    if (this.#over) return
    this.#left -= piece.length
    if (this.#left >= 0 && this.#writer.write(piece)) return
    this.#over = true
    this.#ends.given()
  }

  end(): void {
    if (!this.#over) this.#ends.complete()
  }
}

function say(exchange: Exchange, status: Status): void {
  exchange.answer.set(statusField, status)
}

function forbids(directives: Directives): boolean {
  return directives.has('no-store') || directives.has('private') || directives.has('no-cache')
}

/** The fields of the answer that came, without those of its connection. */
function fieldLines({ response }: Exchange): { name: string; line: string }[] {
  const nominated = new Set((response.headers.getAll('connection') ?? '').toLowerCase().split(/\s*,\s*/))
  const lines: { name: string; line: string }[] = []
  response.headers.forEach((written, value) => {
    const name = written.toLowerCase()
    if (!notStored.has(name) && !nominated.has(name)) lines.push({ name, line: `${written}: ${value}` })
  })
  return lines
}
