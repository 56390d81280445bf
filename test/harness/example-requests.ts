/** The examples of all policies as one configuration, and for each a request that it lets pass. */
import { createCipheriv, createHmac, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { examples, type PolicyExample, servicePort, sinkPort } from '../../src/policies/examples.ts'
import type { PolicyName } from '../../src/policies/index.ts'
import type { ExampleServices } from './example-services.ts'

export interface ExampleRequest {
  /** Default GET; POST with a body. */
  readonly method?: string
  /** Default: whatever the traffic asks for. */
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Of a body. Default: JSON. */
  readonly contentType?: string
}

/** Programs that examples start, for `gateway.commands`. */
export const exampleCommands: readonly string[] = ['mcp-orders']

/** Host of the route that has the example of a policy. */
export function exampleHost(name: PolicyName): string {
  return `${name}.example.com`
}

/** Host of the same route without the policy: with what stands beside it. */
export function baseHost(name: PolicyName): string {
  return examplesByName[name]!.beside === undefined ? plainHost : `${name}.base.example.com`
}

/** Host of a route without any policy. */
export const plainHost = 'plain.example.com'

const examplesByName: { readonly [name: string]: PolicyExample } = examples

/**
 * Consumers, metadata and a route for each example, and next to it one without the policy, by host.
 *
 * @param upstream Id of the upstream of all routes.
 * @param folder For the files that examples name.
 */
export function exampleResources(
  names: readonly PolicyName[],
  services: ExampleServices,
  upstream: string,
  folder: string,
): Record<string, object[]> {
  writeFileSync(join(folder, 'google-account.json'), services.googleAccount)
  writeFileSync(join(folder, 'functions.ts'), functions)
  const chosen = names.map((name) => [name, examplesByName[name]!] as const)
  const credentials = Object.entries(examplesByName).flatMap(([name, { credential }]) =>
    credential === undefined ? [] : [[name, credential] as const],
  )
  const resources = {
    consumers: [{ username: 'alice', labels: { team: 'orders' }, plugins: Object.fromEntries(credentials) }],
    contracts: chosen.flatMap(([name, { tier }]) =>
      tier === undefined ? [] : [{ id: name, consumer: 'alice', route_id: name, tier }],
    ),
    protos: chosen.flatMap(([, { proto }]) => proto ?? []),
    plugin_metadata: chosen.flatMap(([name, { metadata }]) =>
      metadata === undefined ? [] : [{ id: name, ...metadata }],
    ),
    routes: [
      { id: 'plain', hosts: [plainHost], uri: '/*', upstream_id: upstream },
      ...chosen.flatMap(([name, { config, beside }]) => [
        {
          id: name,
          hosts: [exampleHost(name)],
          uri: '/*',
          upstream_id: upstream,
          plugins: { ...beside, [name]: config },
        },
        ...(beside === undefined
          ? []
          : [
              {
                id: `${name}.base`,
                hosts: [baseHost(name)],
                uri: '/*',
                upstream_id: upstream,
                plugins: beside,
              },
            ]),
      ]),
    ],
  }
  return JSON.parse(
    JSON.stringify(resources)
      .replaceAll(String(servicePort), String(services.servicePort))
      .replaceAll(String(sinkPort), String(services.sinkPort))
      .replaceAll('"access.log"', JSON.stringify(join(folder, 'access.log')))
      .replaceAll('"google-account.json"', JSON.stringify(join(folder, 'google-account.json')))
      .replaceAll('"./functions.ts#', `"${join(folder, 'functions.ts')}#`),
  )
}

/** What the examples of the serverless policies run. */
const functions = `
export const label = ({ request }) => { request.headers.set('X-Label', 'orders') }
export const shape = (answer) => ({ ...answer, body: { error: answer.status } })
export const mark = ({ answer }) => { answer.set('X-Mark', 'orders') }
`

/** A request that the example of a policy has something to do for, and that it lets pass. */
export function exampleRequest(name: PolicyName, { accessToken }: ExampleServices): ExampleRequest {
  const key = { apikey: field('key-auth', 'key') }
  switch (name) {
    case 'acl':
    case 'attach-consumer-label':
    case 'consumer-restriction':
    case 'exit-transformer':
    case 'key-auth':
    case 'multi-auth':
      return { headers: key }
    case 'ai-prompt-template':
      return { body: '{"template_name":"explain","subject":"gateways"}', path: chatPath }
    case 'ai-rag':
      return {
        body: '{"messages":[],"ai_rag":{"embeddings":{"input":"Gateways"},"vector_search":{"fields":"content"}}}',
        path: chatPath,
      }
    case 'ai-aliyun-content-moderation':
    case 'ai-aws-content-moderation':
    case 'ai-lakera-guard':
    case 'ai-prompt-decorator':
    case 'ai-prompt-guard':
    case 'ai-proxy':
    case 'ai-proxy-multi':
    case 'ai-rate-limiting':
      return {
        body: '{"model":"gpt-4o","messages":[{"role":"user","content":"What is a gateway?"}]}',
        path: chatPath,
      }
    case 'ai-request-rewrite':
    case 'body-transformer':
    case 'data-mask':
    case 'json-threat-protection':
    case 'request-validation':
    case 'degraphql':
      return { body: order }
    case 'oas-validator':
      return { body: order, path: '/orders' }
    case 'client-control':
    case 'proxy-control':
      return { body: order }
    case 'graphql-limit-count':
    case 'graphql-proxy-cache':
      return { body: '{"query":"query { orders { id state customer { name } } }"}' }
    case 'xml-threat-protection':
      return {
        body: '<order id="7"><item>tea</item><item>hats</item></order>',
        contentType: 'application/xml',
      }
    case 'batch-requests':
    case 'public-api':
      return {
        path: '/apisix/batch-requests',
        body: `{"pipeline":[{"path":"/orders","headers":{"Host":"${plainHost}"}}]}`,
      }
    case 'authz-keycloak':
    case 'oauth2-introspection':
    case 'forward-auth':
    case 'openid-connect':
      return { headers: { authorization: `Bearer ${accessToken}` } }
    case 'http-basic-authentication-flex':
      return { headers: basic('ada', 'of-the-example') }
    case 'basic-auth':
      return { headers: basic(field(name, 'username'), field(name, 'password')) }
    case 'client-id-enforcement':
    case 'sla-rate-limiting':
      return {
        headers: basic(
          field('client-id-enforcement', 'client_id'),
          field('client-id-enforcement', 'client_secret'),
        ),
      }
    case 'hmac-auth':
      return { headers: signature() }
    case 'jwt-validation-flex':
      return { headers: { authorization: `Bearer ${jwt({}, String(examplesByName[name]!.config.textKey))}` } }
    case 'cors-flex':
      return { headers: { origin: 'https://shop.example' } }
    case 'jwt-auth':
      return {
        headers: {
          authorization: `Bearer ${jwt({ key: field('jwt-auth', 'key') }, field('jwt-auth', 'secret'))}`,
        },
      }
    case 'jwe-decrypt':
      return { headers: { authorization: `Bearer ${jwe()}` } }
    case 'cors':
      return { headers: { origin: 'https://app.example.com' } }
    case 'brotli':
    case 'gzip':
      return { headers: { 'accept-encoding': 'gzip, br' } }
    case 'referer-restriction':
      return { headers: { referer: 'https://www.example.com/orders' } }
    case 'real-ip':
      return { headers: { 'x-forwarded-for': '203.0.113.7' } }
    default:
      return {}
  }
}

/** Policies whose example cannot be run here, with the reason. */
export const notRun: { readonly [name in PolicyName]?: string } = {
  'access-block': 'lets nobody pass',
  // test/grpc has them with one.
  'grpc-transcode': 'needs a server of gRPC',
  'grpc-web': 'needs a server of gRPC',
  'ldap-auth': 'needs an LDAP server',
  'ldap-auth-advanced': 'needs an LDAP server',
  'ldap-authentication-flex': 'needs an LDAP server',
  'mcp-bridge': 'needs a program that speaks MCP',
  'sls-logger': 'needs a service that speaks TLS with a known certificate',
}

const order = '{"note":"two hats and some tea, by the white rabbit if he is not late"}'
const chatPath = '/v1/chat/completions'

function field(name: PolicyName, member: string): string {
  return examplesByName[name]!.credential![member] as string
}

function basic(user: string, password: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
}

function signature(): Record<string, string> {
  const keyId = field('hmac-auth', 'key_id')
  const date = new Date().toUTCString()
  const signed = createHmac('sha256', field('hmac-auth', 'secret_key')).update(`${keyId}\ndate: ${date}\n`)
  const parts = { keyId, algorithm: 'hmac-sha256', headers: 'date', signature: signed.digest('base64') }
  const written = Object.entries(parts).map(([part, value]) => `${part}="${value}"`)
  return { date, authorization: `Signature ${written.join(',')}` }
}

function jwt(own: object, secret: string): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { ...own, exp: Math.floor(Date.now() / 1000) + 3600 }
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

function jwe(): string {
  const head = { alg: 'dir', enc: 'A256GCM', kid: field('jwe-decrypt', 'key') }
  const header = Buffer.from(JSON.stringify(head)).toString('base64url')
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', field('jwe-decrypt', 'secret'), nonce).setAAD(
    Buffer.from(header),
  )
  const text = Buffer.concat([cipher.update('Basic YWxpY2U6d29uZGVybGFuZA=='), cipher.final()])
  return [
    header,
    '',
    nonce.toString('base64url'),
    text.toString('base64url'),
    cipher.getAuthTag().toString('base64url'),
  ].join('.')
}
