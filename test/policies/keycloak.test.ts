/** authz-keycloak through the wire, with a server that has the endpoints of Keycloak (UMA 2.0). */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, beforeEach, suite, test } from 'node:test'
import { policyGateway } from '../harness/policy-gateway.ts'

interface Asked {
  path: string
  authorization: string | undefined
  form: URLSearchParams
}

/** Permissions that the token of a user has. */
const granted: Readonly<Record<string, readonly string[]>> = {
  'Bearer teacher': ['course-1#GET', 'course-1#DELETE', 'course_resource#view'],
  'Bearer student': ['course-1#GET'],
}
const asked: Asked[] = []
const server = http.createServer(async (request, response) => {
  const pieces: Buffer[] = []
  for await (const piece of request) pieces.push(piece as Buffer)
  const url = new URL(request.url!, 'http://keycloak.example')
  const { authorization } = request.headers
  const form = new URLSearchParams(Buffer.concat(pieces).toString())
  asked.push({ path: url.pathname, authorization, form })
  const [status, body] = answer(url, authorization, form)
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body))
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
after(() => {
  server.closeAllConnections()
  server.close()
})
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

function answer(
  { pathname, searchParams }: URL,
  authorization = '',
  form: URLSearchParams,
): [number, unknown] {
  const isClient = form.get('client_id') === 'app' && form.get('client_secret') === 'app-secret'
  switch (pathname) {
    case '/uma2-configuration':
      return [200, { token_endpoint: `${url}/token`, resource_registration_endpoint: `${url}/resource_set` }]
    case '/resource_set':
      if (authorization !== 'Bearer own') return [401, { error: 'invalid_token' }]
      return [200, searchParams.get('uri') === '/course/1' ? ['course-1'] : []]
    default:
  }
  switch (form.get('grant_type')) {
    case 'client_credentials':
      return isClient
        ? [200, { access_token: 'own', expires_in: 60 }]
        : [401, { error: 'unauthorized_client' }]
    case 'password':
      return isClient && form.get('password') === '123456'
        ? [200, { access_token: 'teacher', refresh_token: 'r' }]
        : [401, { error: 'invalid_grant' }]
    default: {
      const has = granted[authorization]
      if (has === undefined)
        return [401, { error: 'invalid_grant', error_description: 'Invalid bearer token' }]
      return form.getAll('permission').some((permission) => has.includes(permission))
        ? [200, { result: true }]
        : [403, { error: 'access_denied', error_description: 'not_authorized' }]
    }
  }
}

const client = 'client_id: app, client_secret: app-secret'
const gateway = policyGateway(
  () => `
routes:
  - { id: fixed, uri: /fixed, upstream_id: u, plugins: { authz-keycloak: { ${client}, token_endpoint: "${url}/token", permissions: ["course_resource#view"], password_grant_token_generation_incoming_uri: /fixed } } }
  - { id: lazy, uri: /course/*, upstream_id: u, plugins: { authz-keycloak: { ${client}, discovery: "${url}/uma2-configuration", lazy_load_paths: true, http_method_as_scope: true } } }
  - { id: moved, uri: /moved, upstream_id: u, plugins: { authz-keycloak: { ${client}, token_endpoint: "${url}/token", access_denied_redirect_uri: "http://127.0.0.1/denied" } } }
  - { id: dead, uri: /dead, upstream_id: u, plugins: { authz-keycloak: { client_id: app, token_endpoint: "http://127.0.0.1:1/token", permissions: [a] } } }
`,
)
const send = (path: string, token: string, method = 'GET') =>
  gateway.send(path, { method, headers: { authorization: `Bearer ${token}` } })

suite('authz-keycloak', () => {
  beforeEach(() => {
    asked.length = 0
  })

  test('lets pass whoever has the permission', async () => {
    const { status, seen } = await send('/fixed', 'teacher')
    assert.deepEqual([status, seen?.headers.authorization], [200, 'Bearer teacher'])
    const student = await send('/fixed', 'student')
    assert.deepEqual([student.status, student.seen], [403, undefined])
    assert.deepEqual(JSON.parse(student.text), {
      error: 'access_denied',
      error_description: 'not_authorized',
    })
    const stranger = await send('/fixed', 'made-up')
    assert.deepEqual([stranger.status, stranger.seen], [401, undefined])
    assert.match(stranger.text, /Invalid bearer token/)
  })

  test('finds out what the path needs, whatever its query says', async () => {
    assert.equal((await send('/course/1?x=/course/2', 'student')).status, 200)
    assert.equal((await send('/course/1', 'teacher', 'DELETE')).status, 200)
    for (const [path, method] of [
      ['/course/1', 'DELETE'],
      ['/course/2', 'GET'],
      ['/course/2?uri=/course/1', 'GET'],
    ] as const) {
      const { status, seen } = await send(path, 'student', method)
      assert.deepEqual([status, seen], [403, undefined], `${method} ${path}`)
    }
    assert.equal(asked.filter(({ form }) => form.get('grant_type') === 'client_credentials').length, 1)
    assert.ok(
      asked.every(({ path, authorization }) => path === '/token' || authorization !== 'Bearer student'),
    )
  })

  test('sends elsewhere who may not pass', async () => {
    const { status, headers, seen } = await send('/moved', 'teacher')
    assert.deepEqual([status, headers.get('location'), seen], [307, 'http://127.0.0.1/denied', undefined])
  })

  test('lets nobody pass while Keycloak is not there', async () => {
    const { status, seen } = await send('/dead', 'teacher')
    assert.deepEqual([status, seen], [503, undefined])
  })

  test('gives a token for a password', async () => {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const ask = (password: string) =>
      gateway.send('/fixed', { method: 'POST', headers, body: `username=teacher&password=${password}` })
    const good = await ask('123456')
    assert.deepEqual([good.status, JSON.parse(good.text).access_token], [200, 'teacher'])
    const bad = await ask('654321')
    assert.deepEqual([bad.status, bad.seen ?? good.seen], [401, undefined])
    assert.doesNotMatch(gateway.output(), /123456|654321|app-secret/)
  })
})
