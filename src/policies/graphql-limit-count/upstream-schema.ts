/** As much of an upstream's GraphQL schema as it takes to tell of which type a field is, and where it is learnt. */
import {
  type CallClient,
  type Exchange,
  jsonOf,
  type PolicyHost,
  RemoteDocument,
  type UpstreamHandle,
} from '../kit/index.ts'

export interface UpstreamSchema {
  /** Names of the types that operations begin at, by their keyword. */
  readonly roots: Readonly<Record<string, string>>
  /** By type, then by field. */
  readonly types: ReadonlyMap<string, ReadonlyMap<string, FieldType>>
}

export interface FieldType {
  /** The named type inside of lists. */
  readonly type: string | undefined
  /** What arguments stand for that are left out, as it is written in the schema. */
  readonly defaults: ReadonlyMap<string, string>
}

/** How many lists and non-nulls a type may be wrapped in. */
const wrappers = 7
const wrapped = `${'kind name ofType { '.repeat(wrappers)}kind name${' }'.repeat(wrappers)}`
const introspection = JSON.stringify({
  query:
    'query { __schema { queryType { name } mutationType { name } subscriptionType { name } ' +
    `types { name fields { name args { name defaultValue } type { ${wrapped} } } } } }`,
})

/** Milliseconds. */
const goodFor = 600_000
/** By where they are asked for; of more, the one that was used least lately is forgotten. */
const mostSchemas = 32

export interface SchemaSource {
  readonly introspection_endpoint?: string | undefined
  readonly introspection_headers?: Readonly<Record<string, string>> | undefined
}

/** Schemas, asked for when the first request needs them. A failure is the answer for the pause of a remote document. */
export class UpstreamSchemas {
  readonly #source: SchemaSource
  readonly #host: Pick<PolicyHost, 'upstream' | 'now'>
  readonly #client: CallClient
  readonly #headers: Readonly<Record<string, string>>
  readonly #known = new Map<string, RemoteDocument<UpstreamSchema>>()

  constructor(source: SchemaSource, host: Pick<PolicyHost, 'upstream' | 'now'>, client: CallClient) {
    this.#source = source
    this.#host = host
    this.#client = client
    const headers = Object.entries(source.introspection_headers ?? {})
    this.#headers = Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]))
  }

  /** @throws Error with the reason when it cannot be learnt */
  of(exchange: Exchange): Promise<UpstreamSchema> {
    const { introspection_endpoint: endpoint } = this.#source
    if (endpoint !== undefined) return this.#schema(endpoint, () => this.#learn(endpoint, undefined))
    const { forwardedPath: path, headers } = exchange.request
    const upstream = this.#upstreamOf(exchange)
    const sent = headers.sent('host')
    return this.#schema(`${upstream?.key} ${sent} ${path}`, async () => {
      const origin = upstream?.origin
      if (origin === undefined) throw new Error('the upstream has no node to ask')
      return this.#learn(origin.url + path, origin.host ?? sent)
    })
  }

  #schema(key: string, learn: () => Promise<UpstreamSchema>): Promise<UpstreamSchema> {
    const now = () => this.#host.now()
    const schema = this.#known.get(key) ?? new RemoteDocument(learn, now, { goodFor })
    this.#known.delete(key)
    for (const oldest of this.#known.keys()) {
      if (this.#known.size < mostSchemas) break
      this.#known.delete(oldest)
    }
    this.#known.set(key, schema)
    return schema.get()
  }

  /** That of the service, whose decorations they are; else that of the route. */
  #upstreamOf({ binding }: Exchange): UpstreamHandle | undefined {
    for (const owner of [binding?.service, binding?.route]) {
      if (owner?.upstream !== undefined) return this.#host.upstream({ key: owner.upstream.key })
      if (owner?.upstream_id !== undefined) return this.#host.upstream({ id: owner.upstream_id })
    }
    return undefined
  }

  /** Nothing of the client goes there but, where the upstream is passed it too, the Host. */
  async #learn(url: string, host: string | undefined): Promise<UpstreamSchema> {
    const headers = {
      'content-type': 'application/json',
      ...(host !== undefined && { host }),
      ...this.#headers,
    }
    const answer = await this.#client.call({ method: 'POST', url, headers, body: introspection })
    if (answer.status !== 200) throw new Error(`unexpected status ${answer.status}`)
    const schema = readSchema(jsonOf(answer))
    if (schema === undefined) throw new Error('the answer is no schema')
    return schema
  }
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null
const items = (value: unknown) => (Array.isArray(value) ? value.filter(isMap) : [])

/** @param answer to an introspection; undefined: it is none */
function readSchema(answer: unknown): UpstreamSchema | undefined {
  const data = isMap(answer) ? answer.data : undefined
  const schema = isMap(data) ? data.__schema : undefined
  if (!isMap(schema) || !Array.isArray(schema.types)) return undefined
  const types = new Map<string, Map<string, FieldType>>()
  for (const { name, fields } of items(schema.types)) {
    if (typeof name !== 'string' || !Array.isArray(fields)) continue
    types.set(name, new Map(items(fields).map((field) => [String(field.name), readField(field)])))
  }
  const rootOf = (root: unknown, otherwise: string) =>
    isMap(root) && typeof root.name === 'string' ? root.name : otherwise
  return {
    roots: {
      query: rootOf(schema.queryType, 'Query'),
      mutation: rootOf(schema.mutationType, 'Mutation'),
      subscription: rootOf(schema.subscriptionType, 'Subscription'),
    },
    types,
  }
}

const noDefaults: ReadonlyMap<string, string> = new Map()

function readField({ type, args }: Record<string, unknown>): FieldType {
  const defaults = items(args)
    .filter(({ defaultValue }) => typeof defaultValue === 'string')
    .map(({ name, defaultValue }) => [String(name), String(defaultValue)] as const)
  return { type: namedType(type), defaults: defaults.length === 0 ? noDefaults : new Map(defaults) }
}

function namedType(type: unknown): string | undefined {
  let at = type
  for (let n = 0; n <= wrappers && isMap(at); n++) {
    if (typeof at.name === 'string') return at.name
    at = at.ofType
  }
  return undefined
}
