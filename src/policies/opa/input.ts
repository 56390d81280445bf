import type { Exchange, ExchangeRequest, PolicyHost } from '../kit/index.ts'

export interface Parts {
  readonly route: boolean
  readonly service: boolean
  readonly consumer: boolean
}

/** A value, or all of them where a name stands there several times. */
type Values = Record<string, string | true | (string | true)[]>

/** Makes what Open Policy Agent gets as `input`. Configurations of policies are left out, because they hold secrets. */
export function compileInput(parts: Parts, host: Pick<PolicyHost, 'variable' | 'now'>) {
  const args = host.variable('args')
  const port = host.variable('server_port')
  return (exchange: Exchange) => {
    const { request, client, binding, consumer } = exchange
    return {
      type: 'http',
      request: {
        scheme: client.scheme,
        method: request.method,
        host: request.host,
        port: Number(port(exchange) ?? client.localPort),
        path: utf8(request.path),
        headers: fieldsOf(request),
        query: queryOf(args(exchange) ?? ''),
      },
      var: {
        server_addr: client.localAddress,
        server_port: String(client.localPort),
        remote_addr: client.address,
        remote_port: String(client.peerPort),
        timestamp: Math.floor(host.now() / 1000),
      },
      ...(parts.route && { route: withoutSecrets(binding?.route) }),
      ...(parts.service && { service: withoutSecrets(binding?.service) }),
      ...(parts.consumer && consumer && { consumer: withoutSecrets(consumer.spec) }),
    }
  }
}

function withoutSecrets(resource: object | undefined): object | undefined {
  if (resource === undefined) return undefined
  const {
    plugins: _,
    upstream: _upstream,
    credentials: _credentials,
    ...rest
  } = resource as Record<string, unknown>
  return rest
}

function fieldsOf({ headers }: ExchangeRequest): Values {
  const fields: Values = Object.create(null)
  headers.forEach((name, value) => {
    add(fields, name.toLowerCase(), utf8(value))
  })
  return fields
}

function queryOf(query: string): Values {
  const values: Values = Object.create(null)
  for (const pair of query.split('&')) {
    if (pair === '') continue
    const equals = pair.indexOf('=')
    if (equals === -1) add(values, decoded(pair), true)
    else add(values, decoded(pair.slice(0, equals)), decoded(pair.slice(equals + 1)))
  }
  return values
}

function add(values: Values, name: string, value: string | true): void {
  const known = values[name]
  if (known === undefined) values[name] = value
  else if (Array.isArray(known)) known.push(value)
  else values[name] = [known, value]
}

/** A malformed escape stays as it is. */
function decoded(text: string): string {
  const bytes = text
    .replaceAll('+', ' ')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return utf8(bytes)
}

const utf8 = (bytes: string) => Buffer.from(bytes, 'latin1').toString()
