/** Policies of Flex Gateway by their names, on an instance or a service: what the upstream gets, and what it does not get. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { request } from 'undici'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'

let gateway: RunningGateway
const seen: http.IncomingMessage[] = []
let tokens = 0

const origin = http.createServer((incoming, response) => {
  seen.push(incoming)
  incoming.resume()
  response.setHeader('Access-Control-Allow-Origin', 'of-the-upstream')
  incoming.on('end', () => response.end('answered'))
})
/** Gives tokens, and knows one. */
const authority = http.createServer((incoming, response) => {
  response.setHeader('Content-Type', 'application/json')
  let body = ''
  incoming.on('data', (piece) => {
    body += piece
  })
  incoming.on('end', () => {
    if (incoming.url?.startsWith('/authorize/')) {
      const isLetIn = incoming.headers['x-pass'] === 'yes'
      response.writeHead(isLetIn ? 200 : 418, { 'X-User': 'ada', 'X-Why': 'no' }).end(incoming.url)
    } else if (incoming.url === '/token')
      response.end(JSON.stringify({ access_token: `t${++tokens}`, expires_in: 600 }))
    else response.end(JSON.stringify({ active: body.includes('good'), client_id: 'app-1', scope: 'read' }))
  })
})

const secret = 'a secret of thirty-two characters'
function jwt(claims: object): string {
  const signed = [{ alg: 'HS256' }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

const specification = `openapi: 3.0.0
info: { title: orders, version: "1" }
servers: [{ url: "https://elsewhere/never" }]
paths:
  /orders:
    post:
      requestBody:
        required: true
        content: { application/json: { schema: { type: object, required: [item], properties: { item: { type: string } } } } }
      responses: { "200": { description: ok } }
`

before(async () => {
  for (const server of [origin, authority]) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  const portOf = (server: http.Server) => (server.address() as AddressInfo).port
  const document = (kind: string, name: string, spec: object) =>
    JSON.stringify({ apiVersion: 'gateway.mulesoft.com/v1alpha1', kind, metadata: { name }, spec })
  const service = (name: string) =>
    document('Service', name, { address: `http://127.0.0.1:${portOf(origin)}` })
  const bound = (name: string, kind: string, policy: string, config: object) =>
    document('PolicyBinding', `${policy}-${name}`, {
      targetRef: { kind, name },
      policyRef: { name: policy },
      config,
    })
  const authorityAt = `http://127.0.0.1:${portOf(authority)}`
  gateway = await startGateway((port) => {
    const api = (name: string, policies: [policy: string, config: object][]) =>
      document('ApiInstance', name, {
        address: `http://127.0.0.1:${port}/${name}/`,
        services: { one: { address: `http://127.0.0.1:${portOf(origin)}` } },
        policies: policies.map(([policy, config]) => ({ policyRef: { name: policy }, config })),
      })
    const outbound = (name: string, policy: string, config: object) => [
      service(name),
      document('ApiInstance', `to-${name}`, { address: `http://127.0.0.1:${port}/${name}/` }),
      bound(`to-${name}`, 'ApiInstance', 'route', { destinationRef: { name } }),
      bound(name, 'Service', policy, config),
    ]
    return [
      JSON.stringify({ gateway: { workers: 1, metrics: { enabled: false }, control: { enabled: false } } }),
      api('cors', [
        ['http-basic-authentication-flex', { username: 'a', password: 'b' }],
        [
          'cors',
          { publicResource: false, originGroups: [{ origins: ['https://shop.example'], methods: ['GET'] }] },
        ],
      ]),
      api('jwt', [
        [
          'jwt-validation',
          { signingMethod: 'hmac', textKey: secret, claimsToHeaders: [{ claim: 'sub', header: 'X-User' }] },
        ],
      ]),
      api('log', [
        [
          'message-logging-flex',
          {
            loggingConfiguration: [
              {
                itemName: 'x',
                itemData: {
                  message: '#["saw " ++ attributes.requestPath]',
                  firstSection: true,
                  level: 'INFO',
                },
              },
            ],
          },
        ],
      ]),
      api('closed', [['access-block', {}]]),
      api('protected', [
        [
          'injection-protection-flex',
          {
            builtInProtections: ['sql'],
            protectPathAndQuery: true,
            protectHeaders: false,
            protectBody: true,
            rejectRequests: true,
          },
        ],
      ]),
      api('xml', [['xml-threat-protection', { maxNodeDepth: 2 }]]),
      api('opaque', [
        [
          'oauth2-token-introspection-flex',
          {
            introspectionURL: `${authorityAt}/introspect`,
            authorizationValue: 'Basic x',
            consumerBy: 'client_id',
            scopes: 'read',
          },
        ],
      ]),
      api('asked', [
        [
          'native-ext-authz-flex',
          {
            uri: `${authorityAt}/authorize`,
            serverType: 'http',
            allowedHeaders: ['X-Pass'],
            serviceResponseUpstreamHeaders: ['X-User'],
            serviceResponseClientHeaders: ['X-Why'],
          },
        ],
      ]),
      api('spec', [['spec-validation-flex', { source: 'inline', spec: specification, apiBasePath: '/v1' }]]),
      ...outbound('with-basic', 'credential-injection-basic-auth-flex', { username: 'u', password: 'p' }),
      ...outbound('with-token', 'credential-injection-oauth2-flex', {
        oauthService: `${authorityAt}/token`,
        clientId: 'i',
        clientSecret: 's',
      }),
      ...['jwt', 'opaque'].map((name) =>
        document('Contract', name, { apiId: name, client: { id: 'app-1', secret: 'x' } }),
      ),
    ].join('\n---\n')
  })
})

after(async () => {
  await gateway?.stop()
  origin.close()
  authority.close()
})

async function send(
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
  body: string | null = null,
) {
  seen.length = 0
  const url = `http://127.0.0.1:${gateway.port}${path}`
  const answer = await request(url, { method: method as 'GET', headers, body })
  return { status: answer.statusCode, fields: answer.headers, text: await answer.body.text() }
}

test('cors-flex comes before everything else, whatever its place', async () => {
  const headers = { origin: 'https://shop.example', 'access-control-request-method': 'GET' }
  const preflight = await send('/cors/a', headers, 'OPTIONS')
  assert.deepEqual(
    [preflight.status, preflight.fields['access-control-allow-origin'], seen.length],
    [200, 'https://shop.example', 0],
  )
  const refused = await send('/cors/a', { origin: 'https://shop.example' })
  assert.deepEqual(
    [refused.status, refused.fields['access-control-allow-origin']],
    [401, 'https://shop.example'],
  )
  const authorization = `Basic ${Buffer.from('a:b').toString('base64')}`
  const other = await send('/cors/a', { origin: 'https://else.example', authorization })
  assert.deepEqual(
    [other.status, other.fields['access-control-allow-origin'], seen.length],
    [200, undefined, 1],
  )
})

test('jwt-validation-flex knows the clients of contracts', async () => {
  for (const [claims, status] of [
    [{ client_id: 'app-1', sub: 'ada' }, 200],
    [{ client_id: 'app-2', sub: 'ada' }, 401],
    [{ client_id: 'app-1', exp: 1 }, 401],
  ] as const) {
    const answer = await send('/jwt/a', { authorization: `Bearer ${jwt(claims)}`, 'x-user': 'root' })
    assert.equal(answer.status, status)
    assert.deepEqual(
      seen.map((one) => one.headers['x-user']),
      status === 200 ? ['ada'] : [],
    )
  }
  const none = await send('/jwt/a')
  assert.deepEqual([none.status, none.text, seen.length], [400, '{"error":"JWT Token is required."}', 0])
})

test('message-logging-flex writes a line', async () => {
  await send('/log/tea')
  while (!gateway.output().includes('saw /log/tea')) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.match(gateway.output(), /\[req: [\da-f-]{36}\] \[accessLog\] saw \/log\/tea/)
})

test('access-block, injection-protection-flex and xml-threat-protection keep requests from the upstream', async () => {
  for (const [path, method, body, status] of [
    ['/closed/a', 'GET', null, 403],
    ['/protected/a?q=1%20union%20select%20x', 'GET', null, 400],
    ['/protected/a', 'POST', 'drop table users', 400],
    ['/protected/a', 'POST', 'tea and hats', 200],
    ['/xml/a', 'POST', '<a><b/></a>', 200],
    ['/xml/a', 'POST', '<a><b><c/></b></a>', 400],
  ] as const) {
    const answer = await send(path, { 'content-type': 'application/xml' }, method, body)
    assert.equal(answer.status, status, path)
    assert.equal(seen.length, status === 200 ? 1 : 0, path)
  }
})

test('native-ext-authz-flex asks a service', async () => {
  const passed = await send('/asked/a?b=1', { 'x-pass': 'yes', 'x-user': 'root' })
  assert.deepEqual([passed.status, seen[0]?.headers['x-user']], [200, 'ada'])
  const refused = await send('/asked/a?b=1')
  assert.deepEqual(
    [refused.status, refused.text, refused.fields['x-why'], refused.fields['x-user'], seen.length],
    [418, '/authorize/asked/a?b=1', 'no', undefined, 0],
  )
})

test('oauth2-token-introspection-flex asks the authority', async () => {
  for (const [token, status] of [
    ['good', 200],
    ['bad', 401],
  ] as const) {
    assert.equal((await send('/opaque/a', { authorization: `Bearer ${token}` })).status, status)
    assert.equal(seen.length, status === 200 ? 1 : 0)
  }
})

test('spec-validation-flex has the paths of the document below that of the instance', async () => {
  const json = { 'content-type': 'application/json' }
  for (const [path, body, status] of [
    ['/spec/v1/orders', '{"item":"tea"}', 200],
    ['/spec/v1/orders', '{"item":7}', 400],
    ['/spec/v1/others', '{"item":"tea"}', 400],
  ] as const) {
    assert.equal((await send(path, json, 'POST', body)).status, status, path + body)
    assert.equal(seen.length, status === 200 ? 1 : 0)
  }
})

suite('credentials for services', () => {
  test('of HTTP Basic', async () => {
    await send('/with-basic/a', { authorization: 'Bearer of-the-client' })
    assert.equal(seen[0]?.headers.authorization, `Basic ${Buffer.from('u:p').toString('base64')}`)
  })

  test('of OAuth 2.0, got once', async () => {
    for (const _ of [1, 2]) {
      await send('/with-token/a', { authorization: 'Bearer of-the-client' })
      assert.equal(seen[0]?.headers.authorization, 'Bearer t1')
    }
  })
})
