/**
 * What holds for every policy of the catalogue, through one gateway with the example of each: the envelope `_meta` for those
 * that refuse a request, and what no request may do, however it is made.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { stringify } from 'yaml'
import { catalogue, type PolicyName } from '../../src/policies/index.ts'
import {
  exampleCommands,
  exampleHost,
  exampleRequest,
  exampleResources,
} from '../harness/example-requests.ts'
import { startExampleServices } from '../harness/example-services.ts'
import { policyGateway, type Sent } from '../harness/policy-gateway.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-catalogue-'))
const services = await startExampleServices()
after(async () => {
  await services.stop()
  rmSync(folder, { recursive: true })
})
const names = [...catalogue.keys()] as PolicyName[]

/** Those that refuse the request below with their example or with stricter settings, and stand alone on their route. */
const refusing: readonly PolicyName[] = [
  'ai-prompt-decorator',
  'ai-prompt-template',
  'ai-proxy',
  'ai-proxy-multi',
  'basic-auth',
  'client-control',
  'client-id-enforcement',
  'csrf',
  'degraphql',
  'fault-injection',
  'graphql-limit-count',
  'hmac-auth',
  'ip-restriction',
  'json-threat-protection',
  'jwe-decrypt',
  'jwt-auth',
  'key-auth',
  'ldap-auth',
  'ldap-auth-advanced',
  'multi-auth',
  'opa',
  'openid-connect',
  'referer-restriction',
  'request-validation',
  'ua-restriction',
  'uri-blocker',
  'workflow',
]

/** The example of each of them once more for each of these, below a host of its own. */
const envelopes = {
  disabled: { disable: true },
  filtered: { filter: [['http_x_case', '==', 'never sent']] },
  shadowed: { mode: 'shadow' },
  worded: { error_response: { message: 'in other words' } },
} as const
type Envelope = keyof typeof envelopes

interface Route {
  id: string
  hosts: string[]
  plugins?: Record<string, object>
}

const { send, output } = policyGateway(() => {
  const { routes, ...others } = exampleResources(names, services, 'u', folder) as { routes: Route[] }
  const enveloped = routes
    .filter(({ id }) => refusing.includes(id as PolicyName))
    .flatMap((route) =>
      Object.entries(envelopes).map(([envelope, meta]) => ({
        ...route,
        id: `${envelope}.${route.id}`,
        hosts: [`${envelope}.${exampleHost(route.id as PolicyName)}`],
        plugins: { ...strict(route.id as PolicyName, route.plugins!), ...metaOf(route, meta) },
      })),
    )
  const enforced = routes.map((route) => ({
    ...route,
    ...(route.plugins && { plugins: strict(route.id as PolicyName, route.plugins) }),
  }))
  return stringify(
    { gateway: { commands: exampleCommands }, ...others, routes: [...enforced, ...enveloped] },
    { aliasDuplicateObjects: false },
  )
})

function metaOf({ id, plugins }: Route, meta: object): Record<string, object> {
  return { [id]: { ...strict(id as PolicyName, plugins!)[id], _meta: meta } }
}

/** Settings with which the request below is refused, where the example lets it pass. */
const stricter: { readonly [name in PolicyName]?: object } = {
  'client-control': { max_body_size: 1 },
  'fault-injection': { abort: { http_status: 503 } },
  'ip-restriction': { blacklist: ['127.0.0.1'] },
  opa: { host: `http://127.0.0.1:${services.servicePort}`, policy: 'nobody' },
  'request-validation': { header_schema: { type: 'object', required: ['x-needed'] } },
  workflow: { rules: [{ actions: [['return', { code: 403 }]] }] },
}

function strict(id: PolicyName, plugins: Record<string, object>): Record<string, object> {
  return stricter[id] ? { ...plugins, [id]: stricter[id] } : plugins
}

/** Wrong in as many ways as fit into one request. */
const refused: Sent = {
  method: 'POST',
  headers: {
    'content-type': 'application/json',
    'user-agent': 'badbot',
    referer: 'https://elsewhere.example.net/',
    authorization: 'Bearer wrong',
    'x-chaos': 'yes',
  },
  body: '<wrong',
}

const refuse = (host: string) =>
  send('/orders/.env', { ...refused, headers: { host, ...(refused.headers as object) } })

suite('the envelope of each policy that refuses', () => {
  for (const name of refusing) {
    const below = (envelope: Envelope) => refuse(`${envelope}.${exampleHost(name)}`)

    test(`${name}: refuses, and the upstream gets nothing`, async () => {
      const { status, seen, text } = await refuse(exampleHost(name))
      assert.ok(status >= 400 && status !== 404, `${status} ${text}`)
      assert.equal(seen, undefined)
    })

    test(`${name}: error_response takes the place of its body, not of its status`, async () => {
      const plain = await refuse(exampleHost(name))
      const { status, text, seen } = await below('worded')
      assert.deepEqual([status, text], [plain.status, '{"message":"in other words"}\n'])
      assert.equal(seen, undefined)
    })

    for (const envelope of ['disabled', 'filtered', 'shadowed'] as const) {
      test(`${name}: lets pass what it would refuse when it is ${envelope}`, async () => {
        const { status, text, seen } = await below(envelope)
        assert.equal(status, 200, text)
        assert.ok(seen, 'it did not reach the upstream')
        assert.equal(seen.body.toString(), refused.body)
      })
    }
  }
})

/** What only the gateway may say to the upstream. */
const identity = {
  'x-consumer-username': 'spoofed',
  'x-consumer-custom-id': 'spoofed',
  'x-credential-identifier': 'spoofed',
}

const oversized = 'a'.repeat(6000)

/** Requests that are odd. None of them is worth a 500, whatever the policy. */
const hostile: readonly [what: string, path: string, Sent][] = [
  [
    'duplicated credentials',
    '/orders',
    { headers: { apikey: ['a', 'b'], 'x-api-key': ['a', 'b'], cookie: ['a=1', 'a=2'] } },
  ],
  [
    'an oversized credential',
    '/orders',
    { headers: { authorization: `Bearer ${oversized}`, apikey: oversized } },
  ],
  [
    'credentials that are no base64',
    '/orders',
    { headers: { authorization: 'Basic %%%\xff\xfe', cookie: '=;=;;a' } },
  ],
  [
    'an unfinished signature',
    '/orders',
    { headers: { authorization: 'Signature keyId="a",signature=', date: 'never' } },
  ],
  ['a token of three empty parts', '/orders?jwt=..&apikey=%ff', { headers: { authorization: 'Bearer ..' } }],
  [
    'bytes that are no UTF-8',
    '/orders/%ff%fe%c0?q=%ff&apikey=%00&%=',
    { headers: { referer: 'http://\xff', 'user-agent': '\xff' } },
  ],
  [
    'JSON that is no object',
    '/orders',
    { method: 'POST', body: '[null]', headers: { 'content-type': 'application/json' } },
  ],
  [
    'JSON of wrong types',
    '/orders',
    {
      method: 'POST',
      body: '{"messages":7,"model":[],"query":{},"note":null,"template_name":{},"pipeline":"x","__proto__":{"a":1}}',
      headers: { 'content-type': 'application/json' },
    },
  ],
  [
    'JSON that is nested deeply',
    '/v1/chat/completions',
    { method: 'POST', body: '['.repeat(20_000), headers: { 'content-type': 'application/json' } },
  ],
  [
    'a form that says nothing',
    '/orders',
    { method: 'POST', body: '&&=&%zz', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
  ],
  [
    'XML that ends early',
    '/orders',
    {
      method: 'POST',
      body: '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;',
      headers: { 'content-type': 'application/xml' },
    },
  ],
  [
    'gzip that is none',
    '/orders',
    {
      method: 'POST',
      body: 'x',
      headers: { 'content-encoding': 'gzip', 'content-type': 'application/json' },
    },
  ],
  [
    'an odd type of body',
    '/orders',
    { method: 'POST', body: 'x', headers: { 'content-type': ';;charset=,multipart/form-data; boundary=' } },
  ],
  [
    'odd fields of conditions',
    '/orders',
    {
      headers: {
        'accept-encoding': ';q=,*;q=9',
        range: 'bytes=9-1',
        origin: 'null',
        'x-forwarded-for': ',,[::',
        'x-request-id': oversized,
      },
    },
  ],
]

suite('hostile requests to each policy', () => {
  for (const name of names) {
    test(name, async () => {
      for (const [what, path, sent] of hostile) {
        const headers = { host: exampleHost(name), ...identity, ...(sent.headers as object) }
        const { status, text } = await send(path, { ...sent, headers })
        assert.notEqual(status, 500, `${what}: ${text}\n${output().slice(-500)}`)
      }
    })
  }
})

suite('nobody poses as somebody else to the upstream', () => {
  for (const name of names.filter((one) => catalogue.get(one)!.stage === 'identify')) {
    test(name, async () => {
      const { headers } = exampleRequest(name, services)
      const { seen } = await send('/orders', {
        headers: { host: exampleHost(name), ...headers, ...identity },
      })
      for (const [field, value] of seen?.fields ?? [])
        assert.notEqual(value, 'spoofed', `${field} came through`)
    })
  }
})
