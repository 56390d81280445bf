/** A request or an answer as expressions see it. */
import type { Exchange, HeaderView } from '../../../proxy/exchange.ts'
import { queryValues, readPairs } from '../query.ts'
import { authenticationMembers, nothing, requestAttributes, responseAttributes, type Scope } from './scope.ts'
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

/** `attributes` of a request, and of its answer where `answers`. */
class Attributes extends View {
  private readonly exchange: Exchange
  private readonly answers: boolean

  constructor(exchange: Exchange, answers: boolean) {
    super()
    this.exchange = exchange
    this.answers = answers
  }

  override get(key: string): Value {
    const { request, response, client } = this.exchange
    switch (key) {
      case 'headers':
        return new FieldsView(this.answers ? response.headers : request.headers)
      case 'method':
        return request.method
      case 'queryParams':
        return new QueryView(request.query)
      case 'queryString':
        return request.query
      case 'requestPath':
        return request.path
      case 'requestUri':
        return request.query === '' ? request.path : `${request.path}?${request.query}`
      case 'localAddress':
        return socketAddress(client.localAddress, client.localPort)
      case 'remoteAddress':
        return socketAddress(client.address, client.port)
      case 'scheme':
        return client.scheme
      case 'version':
        return `HTTP/${request.version}`
      case 'clientAddress':
        return { ip: client.address }
      case 'statusCode':
        return this.answers ? response.status : null
      default:
        return null
    }
  }

  override entries(): [string, Value][] {
    return (this.answers ? responseAttributes : requestAttributes).map((name) => [name, this.get(name)])
  }
}

/** `authentication`: who is calling, as far as an earlier policy found out. */
class Authentication extends View {
  private readonly exchange: Exchange

  constructor(exchange: Exchange) {
    super()
    this.exchange = exchange
  }

  override get(key: string): Value {
    const { consumer, externalUser } = this.exchange
    switch (key) {
      case 'clientId':
      case 'clientName':
      case 'principal':
        return consumer?.username ?? null
      case 'properties':
        return { claims: (externalUser as Value) ?? null }
      default:
        return null
    }
  }

  override entries(): [string, Value][] {
    return authenticationMembers.map((name) => [name, this.get(name)])
  }
}

class ExchangeScope implements Scope {
  readonly payload: Value
  readonly vars: View
  private readonly exchange: Exchange
  private readonly answers: boolean

  constructor(exchange: Exchange, answers: boolean, payload: Value, vars: View) {
    this.exchange = exchange
    this.answers = answers
    this.payload = payload
    this.vars = vars
  }

  get attributes(): View {
    return new Attributes(this.exchange, this.answers)
  }

  get authentication(): View {
    return new Authentication(this.exchange)
  }
}

/** In the request phase. @param payload see `payloadOf` */
export function requestScope(exchange: Exchange, payload: Value = null, vars: View = nothing): Scope {
  return new ExchangeScope(exchange, false, payload, vars)
}

/** In the response phase: `headers` are those of the answer. */
export function responseScope(exchange: Exchange, vars: View = nothing): Scope {
  return new ExchangeScope(exchange, true, null, vars)
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
