/** openid-connect and oauth2-introspection with a real OpenID provider, through the wire. */
import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, suite, test } from 'node:test'
import { request } from 'undici'
import { policyGateway } from '../harness/policy-gateway.ts'
import { RedisServer, withoutRedis } from '../harness/redis-server.ts'

interface Provider {
  callback(): http.RequestListener
}
type ProviderClass = new (issuer: string, settings: object) => Provider
// The package has no types.
const { default: OidcProvider } = (await import('oidc-provider' as string)) as { default: ProviderClass }

const server = http.createServer()
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
after(() => {
  server.closeAllConnections()
  server.close()
})
const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const api = 'urn:api'
const elsewhere = 'urn:elsewhere'
const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const provider = new OidcProvider(issuer, {
  clients: [
    {
      client_id: 'app',
      client_secret: 'app-secret',
      grant_types: ['authorization_code', 'client_credentials'],
      redirect_uris: ['http://gateway.example/app/back', 'http://gateway.example/kept/back'],
      post_logout_redirect_uris: ['http://gateway.example/bye'],
    },
    {
      client_id: 'bound',
      client_secret: 'bound-secret',
      grant_types: ['authorization_code'],
      redirect_uris: ['http://gateway.example/bound/back'],
      require_pushed_authorization_requests: true,
      dpop_bound_access_tokens: true,
    },
    { client_id: 'short', client_secret: 'short-secret', ...machine },
  ],
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'RS256' }] },
  cookies: { keys: ['a-key-for-cookies'] },
  pkce: { required: () => true },
  scopes: ['openid', 'read'],
  findAccount: (_: unknown, id: string) => ({ accountId: id, claims: async () => ({ sub: id }) }),
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 1), requireNonce: () => true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo: (_: unknown, resource: string) => ({
        scope: 'read',
        audience: resource === api ? 'app' : 'someone-else',
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
})
/** Fields of the requests that the provider got, by path. */
const asked: { path: string; headers: http.IncomingHttpHeaders }[] = []
const answer = provider.callback()
server.on('request', (incoming: http.IncomingMessage, response: http.ServerResponse) => {
  asked.push({ path: incoming.url!, headers: incoming.headers })
  answer(incoming, response)
})
const proofKey = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const dpop = JSON.stringify({
  enabled: true,
  private_key: proofKey.privateKey.export({ format: 'pem', type: 'pkcs8' }),
  public_jwk: proofKey.publicKey.export({ format: 'jwk' }),
})

const discovery = `${issuer}/.well-known/openid-configuration`
const client = `client_id: app, client_secret: app-secret, discovery: "${discovery}"`
const basic = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
const redis = withoutRedis === false ? await RedisServer.start() : undefined
after(() => redis?.stop())
const gateway = policyGateway(
  () => `
consumers:
  - { username: shorty, plugins: { oauth2-introspection: { client_id: short } } }
routes:
  - { id: jwks, uri: /jwks, upstream_id: u, plugins: { openid-connect: { ${client}, bearer_only: true, use_jwks: true, claim_validator: { audience: { required: true, match_with_client_id: true } } } } }
  - { id: issuers, uri: /issuers, upstream_id: u, plugins: { openid-connect: { ${client}, bearer_only: true, use_jwks: true, claim_validator: { issuer: { valid_issuers: ["https://other.example"] } } } } }
  - { id: opaque, uri: /opaque, upstream_id: u, plugins: { openid-connect: { ${client}, bearer_only: true, required_scopes: [read] } } }
  - { id: any, uri: /any, upstream_id: u, plugins: { openid-connect: { ${client}, bearer_only: true } } }
  - { id: rfc7662, uri: /rfc7662, upstream_id: u, plugins: { oauth2-introspection: { introspectionURL: "${issuer}/token/introspection", authorizationValue: "${basic('app', 'app-secret')}", exposeHeaders: true } } }
  - { id: app, uri: /app*, upstream_id: u, plugins: { openid-connect: { ${client}, logout_path: /app/logout, redirect_uri: "http://gateway.example/app/back", post_logout_redirect_uri: "http://gateway.example/bye", session: { secret: "a-secret-of-the-test" } } } }
  - { id: bound, uri: /bound*, upstream_id: u, plugins: { openid-connect: { client_id: bound, client_secret: bound-secret, discovery: "${discovery}", redirect_uri: /bound/back, par: { enabled: true, endpoint_auth_method: client_secret_post }, dpop: ${dpop}, session: { secret: "a-secret-of-the-test" } } } }
  - { id: kept, uri: /kept*, upstream_id: u, plugins: { openid-connect: { ${client}, logout_path: /kept/logout, redirect_uri: "http://gateway.example/kept/back", session: { secret: "a-secret-of-the-test", storage: redis, redis: { port: ${redis?.port ?? 1} } } } } }
`,
)

/** A token that a client gets for itself; opaque where no resource is named. */
async function tokenFor(id: string, resource?: string): Promise<string> {
  const form = new URLSearchParams({ grant_type: 'client_credentials', ...(resource && { resource }) })
  const answer = await request(`${issuer}/token`, {
    method: 'POST',
    headers: {
      authorization: basic(id, `${id}-secret`),
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: String(form),
  })
  const body = (await answer.body.json()) as { access_token?: string }
  assert.ok(body.access_token, JSON.stringify(body))
  return body.access_token
}
const show = (path: string, token: string) =>
  gateway.send(path, {
    headers: { authorization: `Bearer ${token}`, 'x-userinfo': 'spoofed', 'x-agw-sub': 'root' },
  })

suite('a bearer token', () => {
  test('that the provider signed reaches the upstream with its claims', async () => {
    const token = await tokenFor('app', api)
    const { status, seen } = await show('/jwks', token)
    assert.equal(status, 200)
    assert.equal(seen?.headers['x-access-token'], token)
    const claims = JSON.parse(Buffer.from(String(seen!.headers['x-userinfo']), 'base64').toString())
    assert.deepEqual([claims.iss, claims.aud, claims.client_id], [issuer, 'app', 'app'])
  })

  test('for someone else, of another issuer or changed on its way reaches nobody', async () => {
    const foreign = await show('/jwks', await tokenFor('app', elsewhere))
    assert.deepEqual([foreign.status, foreign.seen], [403, undefined])
    const token = await tokenFor('app', api)
    const issued = await show('/issuers', token)
    assert.deepEqual([issued.status, issued.seen], [401, undefined])
    const [head, , signature] = token.split('.')
    const body = Buffer.from(JSON.stringify({ iss: issuer, aud: 'app', exp: 1e12 })).toString('base64url')
    const forged = await show('/jwks', `${head}.${body}.${signature}`)
    assert.deepEqual([forged.status, forged.seen], [401, undefined])
  })

  test('that the provider signed is refused when it is over', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const signed = (exp: number) => {
      const text = `${part({ alg: 'RS256', kid: 'k1' })}.${part({ iss: issuer, aud: 'app', exp })}`
      return `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`
    }
    assert.equal((await show('/jwks', signed(1e11))).status, 200)
    const over = await show('/jwks', signed(1e9))
    assert.deepEqual([over.status, over.seen], [401, undefined])
  })

  test('that is opaque is introspected', async () => {
    const token = await tokenFor('app')
    const { status, seen } = await show('/any', token)
    assert.deepEqual([status, seen?.headers['x-access-token']], [200, token])
    const scopeless = await show('/opaque', token)
    assert.deepEqual([scopeless.status, scopeless.seen], [403, undefined])
    const unknown = await show('/any', `${token}x`)
    assert.deepEqual([unknown.status, unknown.seen], [401, undefined])
  })

  test('identifies the consumer that oauth2-introspection finds', async () => {
    const { status, seen } = await show('/rfc7662', await tokenFor('short'))
    assert.deepEqual([status, seen?.headers['x-consumer-username']], [200, 'shorty'])
    assert.deepEqual([seen?.headers['x-agw-client_id'], seen?.headers['x-agw-sub']], ['short', undefined])
    for (const [token, expected] of [
      [await tokenFor('app'), 403],
      ['made-up', 401],
    ] as const) {
      const refused = await show('/rfc7662', token)
      assert.deepEqual([refused.status, refused.seen], [expected, undefined])
    }
  })
})

test('a browser logs in, is known by its cookie, and logs out', async () => {
  const browser = new Browser()
  const landed = await browser.open('http://gateway.example/app/page?a=1')
  assert.equal(landed.url.href, 'http://gateway.example/app/page?a=1')
  const seen = gateway.received.at(-1)!
  assert.equal(seen.target, '/app/page?a=1')
  const told = (name: string) =>
    JSON.parse(Buffer.from(String(seen.headers[name]), 'base64').toString()) as Record<string, unknown>
  assert.equal(told('x-id-token').sub, 'jack')
  assert.equal(told('x-userinfo').sub, 'jack')
  assert.ok(seen.headers['x-access-token'])

  const login = browser.visited.find(({ pathname }) => pathname === '/auth')!
  assert.equal(login.searchParams.get('code_challenge_method'), 'S256')
  const before = browser.visited.length
  await browser.open('http://gateway.example/app/again')
  assert.equal(browser.visited.length, before + 1)
  assert.equal(gateway.received.at(-1)!.target, '/app/again')

  const out = await browser.visit(new URL('http://gateway.example/app/logout'))
  assert.equal(out.status, 302)
  assert.equal(out.location?.pathname, '/session/end')
  assert.ok(out.location?.searchParams.get('id_token_hint'))
  const { received } = gateway
  const count = received.length
  const anew = await browser.visit(new URL('http://gateway.example/app/page'))
  assert.deepEqual([anew.status, anew.location?.pathname, received.length], [302, '/auth', count])
})

test('a browser logs in with parameters that it does not carry, for a token that is bound to a key', async () => {
  asked.length = 0
  const browser = new Browser()
  await browser.open('http://gateway.example/bound/page')
  const login = browser.visited.find(({ pathname }) => pathname === '/auth')!
  assert.deepEqual([...login.searchParams.keys()], ['client_id', 'request_uri'])
  const { headers } = gateway.received.at(-1)!
  assert.equal(JSON.parse(Buffer.from(String(headers['x-userinfo']), 'base64').toString()).sub, 'jack')
  const proofs = asked.filter(({ path }) => path === '/token' || path === '/me')
  assert.ok(proofs.every(({ headers: fields }) => fields.dpop !== undefined))
  assert.match(String(proofs.at(-1)?.headers.authorization), /^DPoP /)
})

test('a session in Redis ends for whoever has its cookie', { skip: withoutRedis }, async () => {
  const browser = new Browser()
  const page = 'http://gateway.example/kept/page'
  assert.equal((await browser.open(page)).status, 200)
  const thief = browser.copy()
  assert.equal((await thief.visit(new URL(page))).status, 200)
  await browser.visit(new URL('http://gateway.example/kept/logout'))
  const before = gateway.received.length
  assert.equal((await thief.visit(new URL(page))).location?.pathname, '/auth')

  const next = new Browser()
  assert.equal((await next.open(page)).status, 200)
  await redis!.kill()
  assert.equal((await next.visit(new URL(page))).status, 500)
  assert.equal(gateway.received.length, before + 1)
})

suite('a login that someone meddles with', () => {
  /** A browser that is about to come back from the provider, and where to. */
  async function about(): Promise<{ browser: Browser; back: URL }> {
    const browser = new Browser()
    const { location: back } = await browser.until('http://gateway.example/app/page', '/app/back')
    return { browser, back: back! }
  }
  const reached = () => gateway.received.length

  test('is not that of another browser', async () => {
    const [mine, other] = [await about(), await about()]
    const before = reached()
    const mixed = await mine.browser.visit(other.back)
    assert.deepEqual([mixed.status, mixed.location?.pathname], [302, '/app/page'], 'it begins anew')
    const page = await mine.browser.visit(new URL('http://gateway.example/app/page'))
    assert.deepEqual([page.status, page.location?.pathname, reached()], [302, '/auth', before])
    const stranger = await new Browser().visit(other.back)
    assert.deepEqual([stranger.status, stranger.location, reached()], [500, undefined, before])
  })

  test('is not that with the state of another login', async () => {
    const [mine, other] = [await about(), await about()]
    const before = reached()
    const swapped = new URL(other.back)
    swapped.searchParams.set('state', mine.back.searchParams.get('state')!)
    const answer = await mine.browser.visit(swapped)
    assert.deepEqual([answer.status, reached()], [500, before])
    const page = await mine.browser.visit(new URL('http://gateway.example/app/page'))
    assert.equal(page.location?.pathname, '/auth')
  })

  test('happens once with each code', async () => {
    const { browser, back } = await about()
    const thief = browser.copy()
    assert.equal((await browser.visit(back)).location?.pathname, '/app/page')
    const before = reached()
    assert.equal((await thief.visit(back)).status, 500)
    const page = await thief.visit(new URL('http://gateway.example/app/page'))
    assert.deepEqual([page.location?.pathname, reached()], ['/auth', before])
  })

  test('begins anew where the state is there twice', async () => {
    const { browser, back } = await about()
    const answer = await browser.visit(new URL(`${back.href}&state=${back.searchParams.get('state')}`))
    assert.deepEqual([answer.status, answer.location?.pathname], [302, '/app/page'])
    const page = await browser.visit(new URL('http://gateway.example/app/page'))
    assert.equal(page.location?.pathname, '/auth')
  })
})

test('cookies that nobody sealed are those of nobody, however many there are', async () => {
  for (const count of [1, 4, 8]) {
    const names = Array.from({ length: count }, (_, index) =>
      index === 0 ? 'session' : `session_${index + 1}`,
    )
    const cookie = names.map((name) => `${name}=${'A'.repeat(3800)}`).join('; ')
    const { status, headers, seen } = await gateway.send('/app/page', { headers: { cookie } })
    assert.deepEqual([count, status, seen], [count, 302, undefined])
    assert.equal(new URL(headers.get('location')!).pathname, '/auth')
  }
})

interface Page {
  url: URL
  status: number
  location: URL | undefined
  text: string
}

/** Follows redirects, keeps cookies by host, and fills the forms of the provider in. */
class Browser {
  readonly visited: URL[] = []
  readonly #jars = new Map<string, Map<string, string>>()

  /** One with the same cookies. */
  copy(): Browser {
    const other = new Browser()
    for (const [host, jar] of this.#jars) other.#jars.set(host, new Map(jar))
    return other
  }

  async open(address: string): Promise<Page> {
    return this.until(address, undefined)
  }

  /** Stops at the page that leads to this path, and does not go there. */
  async until(address: string, path: string | undefined): Promise<Page> {
    let page = await this.visit(new URL(address))
    for (let steps = 0; steps < 20; steps++) {
      if (path !== undefined && page.location?.pathname === path) return page
      const form = /<form[^>]* action="([^"]+)"/.exec(page.text)?.[1]
      if (page.location) page = await this.visit(page.location)
      else if (page.status === 200 && form !== undefined && page.url.origin === issuer) {
        const prompt = /name="prompt" value="([^"]+)"/.exec(page.text)?.[1] ?? 'login'
        const filled = new URLSearchParams({ prompt, login: 'jack', password: 'x' })
        page = await this.visit(new URL(form, page.url), String(filled))
      } else return page
    }
    throw new Error('the browser is sent around')
  }

  async visit(url: URL, form?: string): Promise<Page> {
    this.visited.push(url)
    const jar = this.#jars.get(url.host) ?? new Map<string, string>()
    this.#jars.set(url.host, jar)
    const toGateway = url.host === 'gateway.example'
    const target = toGateway ? `http://127.0.0.1:${gateway.port}${url.pathname}${url.search}` : url.href
    const answer = await request(target, {
      method: form === undefined ? 'GET' : 'POST',
      headers: {
        ...(toGateway && { host: url.host }),
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(form !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      body: form ?? null,
    })
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line)!
      if (value === '' || /max-age=0|expires=Thu, 01 Jan 1970/i.test(line)) jar.delete(name)
      else jar.set(name, value)
    }
    const { location } = answer.headers
    return {
      url,
      status: answer.statusCode,
      location: location === undefined ? undefined : new URL(String(location), url),
      text: await answer.body.text(),
    }
  }
}
