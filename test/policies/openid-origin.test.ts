/** Where openid-connect sends a browser back to behind proxies, through the wire. */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { policyGateway } from '../harness/policy-gateway.ts'

/** A provider that says where its endpoints are. */
const provider = http.createServer((_, response) => {
  response.end(JSON.stringify({ issuer, authorization_endpoint: `${issuer}/auth` }))
})
await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
const issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
after(() => {
  provider.closeAllConnections()
  provider.close()
})

const configured = (trusted: string) => () =>
  `
gateway: { trusted_addresses: [${trusted}] }
routes:
  - id: app
    uri: /app*
    upstream_id: u
    plugins:
      openid-connect:
        client_id: app
        client_secret: secret
        discovery: "${issuer}/.well-known/openid-configuration"
        session: { secret: "a-secret-of-the-test" }
`
const behindProxy = policyGateway(configured('127.0.0.1'))
const alone = policyGateway(configured(''))
const fields = [
  { 'x-forwarded-host': 'shop.example:8443', 'x-forwarded-proto': 'https' },
  { forwarded: 'host="shop.example:8443";proto=https', 'x-forwarded-host': 'other.example' },
]

for (const headers of fields) {
  test(`${Object.keys(headers).join(' and ')} of trusted proxies alone say where a browser comes back to`, async () => {
    for (const [gateway, origin] of [
      [behindProxy, 'https://shop.example:8443'],
      [alone, 'http://api.example'],
    ] as const) {
      const answer = await gateway.send('/app', { headers: { host: 'api.example', ...headers } })
      assert.deepEqual([answer.status, answer.seen], [302, undefined])
      const login = new URL(answer.headers.get('location')!)
      assert.equal(login.searchParams.get('redirect_uri'), `${origin}/app/.apisix/redirect`)
      assert.equal(/; Secure/.test(answer.headers.get('set-cookie')!), origin.startsWith('https:'))
    }
  })
}
