/** A request or an answer as expressions see it. */
import type { Exchange, HeaderView } from '../../../proxy/exchange.ts'
import { queryValues, readPairs } from '../query.ts'
import { nothing, type Scope } from './scope.ts'
import { type Value, View } from './values.ts'

/** Parameters of a query that an expression can walk over. */
const mostParameters = 100

class FieldsView extends View {
  private readonly fields: HeaderView

  constructor(fields: HeaderView) {
    super()
    this.fields = fields
  }

  override get(key: string): Value {
    return this.fields.get(key) ?? null
  }

  override entries(): [string, Value][] {
    const found = new Map<string, string>()
    this.fields.forEach((name, value) => {
      const lower = name.toLowerCase()
      if (!found.has(lower)) found.set(lower, value)
    })
    return [...found]
  }
}

class QueryView extends View {
  private readonly query: string

  constructor(query: string) {
    super()
    this.query = query
  }

  override get(key: string): Value {
    const [first] = queryValues(this.query, Buffer.from(key).toString('latin1'))
    return first === undefined ? null : Buffer.from(first, 'latin1').toString()
  }

  override entries(): [string, Value][] {
    return Object.entries(readPairs(this.query, mostParameters)).map(([name, value]) => {
      const first = Array.isArray(value) ? value[0] : value
      return [name, first === true || first === undefined ? '' : first]
    })
  }
}

/** Members that are worked out when they are asked for. */
class LazyView extends View {
  private readonly members: Readonly<Record<string, () => Value>>

  constructor(members: Readonly<Record<string, () => Value>>) {
    super()
    this.members = members
  }

  override get(key: string): Value {
    return Object.hasOwn(this.members, key) ? (this.members[key] as () => Value)() : null
  }

  override entries(): [string, Value][] {
    return Object.entries(this.members).map(([name, value]) => [name, value()])
  }
}

/** In the request phase. @param payload see `payloadOf` */
export function requestScope(exchange: Exchange, payload: Value = null, vars: View = nothing): Scope {
  const attributes = new LazyView(requestMembers(exchange))
  return { attributes, authentication: authenticationOf(exchange), vars, payload }
}

/** In the response phase: `headers` are those of the answer. */
export function responseScope(exchange: Exchange, vars: View = nothing): Scope {
  const { response } = exchange
  const attributes = new LazyView({
    ...requestMembers(exchange),
    headers: () => new FieldsView(response.headers),
    statusCode: () => response.status,
  })
  return { attributes, authentication: authenticationOf(exchange), vars, payload: null }
}

function requestMembers({ request, client }: Exchange): Record<string, () => Value> {
  return {
    headers: () => new FieldsView(request.headers),
    method: () => request.method,
    queryParams: () => new QueryView(request.query),
    queryString: () => request.query,
    requestPath: () => request.path,
    requestUri: () => (request.query === '' ? request.path : `${request.path}?${request.query}`),
    localAddress: () => socketAddress(client.localAddress, client.localPort),
    remoteAddress: () => socketAddress(client.address, client.port),
    scheme: () => client.scheme,
    version: () => `HTTP/${request.version}`,
    clientAddress: () => ({ ip: client.address }),
  }
}

function authenticationOf(exchange: Exchange): View {
  const name = () => exchange.consumer?.username ?? null
  return new LazyView({
    clientId: name,
    clientName: name,
    principal: name,
    properties: () => ({ claims: (exchange.externalUser as Value) ?? null }),
  })
}

function socketAddress(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** A body as `payload`: what JSON says where it is JSON, else its text. @param body one character a byte */
export function payloadOf(exchange: Exchange, body: string): Value {
  if (body === '') return null
  const text = Buffer.from(body, 'latin1').toString()
  if (!/\bjson\b/i.test(exchange.request.headers.get('content-type') ?? '')) return text
  try {
    return JSON.parse(text) as Value
  } catch {
    return text
  }
}
