/** Policies that stand alone on their route, through the wire: what passes as the upstream gets it, and what does not. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { policyGateway } from '../harness/policy-gateway.ts'

const route = (id: string, config: object, policy = id) =>
  JSON.stringify({ id, uri: `/${id}/*`, upstream_id: 'u', plugins: { [policy]: config } })

const template = {
  name: 'explain',
  template: { model: 'm', messages: [{ role: 'user', content: 'Explain {{subject}}.' }] },
}
const labels = [
  { match: [['http_x_beta', '==', 'yes']], actions: [{ set_headers: { 'X-Group': 'beta $arg_n' } }] },
  { actions: [{ weight: 1 }] },
]

const { send } = policyGateway(
  () => `
routes:
  - ${route('fault-injection', { abort: { http_status: 418, body: 'teapot', headers: { 'X-Why': 'test' }, vars: [[['http_x_chaos', '==', 'yes']]] } })}
  - ${route('uri-blocker', { block_rules: ['\\.env$', '^/uri-blocker/admin/', 'union.+select'], rejected_msg: 'no', case_insensitive: true })}
  - ${route('listed', { ips: ['127.0.0.0/8'] }, 'ip-allowlist-flex')}
  - ${route('not-listed', { ips: ['203.0.113.7'] }, 'ip-allowlist-flex')}
  - ${route('blocked', { ips: ['127.0.0.1'] }, 'ip-blocklist-flex')}
  - ${route('not-blocked', { ips: ['203.0.113.7'] }, 'ip-blocklist-flex')}
  - ${route('header-removal-flex', { inboundHeaders: ['X-Debug'], outboundHeaders: ['x-powered-.*'] })}
  - ${route('http-basic-authentication-flex', { username: 'ada', password: 'of:ada' })}
  - ${route('traffic-label', { rules: labels })}
  - ${route('ai-prompt-template', { templates: [template] })}
  - ${route('rate-limiting-flex', { rateLimits: [{ maximumRequests: 1, timePeriodInMilliseconds: 600_000 }], keySelector: "#[attributes.headers['x-who']]" })}
`,
  ({ target }, response) => {
    if (!target.startsWith('/header-removal-flex')) return false
    response.setHeader('X-Powered-By', 'php')
    response.setHeader('X-Kept', 'yes')
    response.end('{}')
    return true
  },
)

const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` })
const json = { 'content-type': 'application/json' }

suite('what passes', () => {
  for (const [path, headers] of [
    ['/fault-injection/a', { 'x-chaos': 'no' }],
    ['/uri-blocker/environment', {}],
    ['/uri-blocker/a?q=selection', {}],
    ['/listed/a', {}],
    ['/not-blocked/a', { 'x-forwarded-for': '203.0.113.7' }],
    ['/http-basic-authentication-flex/a', basic('ada:of:ada')],
  ] as const) {
    test(`${path} ${JSON.stringify(headers)}`, async () => {
      const { status, seen } = await send(path, { headers })
      assert.deepEqual([status, seen?.target], [200, path])
    })
  }
})

suite('what does not, and of which the upstream gets nothing', () => {
  for (const [path, headers, expected] of [
    ['/fault-injection/a', { 'x-chaos': 'yes' }, 418],
    ['/uri-blocker/a/.ENV', {}, 403],
    ['/uri-blocker/%61dmin/x', {}, 403],
    ['/uri-blocker/a?q=UNION%20select', {}, 403],
    ['/not-listed/a', { 'x-forwarded-for': '203.0.113.7' }, 403],
    ['/blocked/a', { 'x-forwarded-for': '198.51.100.1' }, 403],
    ['/http-basic-authentication-flex/a', {}, 401],
    ['/http-basic-authentication-flex/a', basic('ada:of'), 401],
    ['/http-basic-authentication-flex/a', basic('ada'), 401],
    ['/http-basic-authentication-flex/a', { authorization: 'Basic %%%' }, 401],
  ] as const) {
    test(`${path} ${JSON.stringify(headers)}`, async () => {
      const { status, seen } = await send(path, { headers })
      assert.deepEqual([status, seen], [expected, undefined])
    })
  }

  test('says what it was told to say', async () => {
    const { text, headers } = await send('/fault-injection/a', { headers: { 'x-chaos': 'yes' } })
    assert.deepEqual([text, headers.get('x-why')], ['teapot', 'test'])
    assert.deepEqual(JSON.parse((await send('/uri-blocker/.env')).text), { error_msg: 'no' })
    const { headers: challenge } = await send('/http-basic-authentication-flex/a')
    assert.match(challenge.get('www-authenticate')!, /^Basic realm=/)
  })
})

test('fields that are removed reach neither side', async () => {
  const { seen, headers } = await send('/header-removal-flex/a', {
    headers: { 'X-DEBUG': '1', 'x-other': '2' },
  })
  assert.deepEqual([seen?.headers['x-debug'], seen?.headers['x-other']], [undefined, '2'])
  assert.deepEqual([headers.get('x-powered-by'), headers.get('x-kept')], [null, 'yes'])
})

test('labels take the place of what clients say, where a rule holds', async () => {
  const labelled = await send('/traffic-label/a?n=1', { headers: { 'x-beta': 'yes', 'x-group': 'mine' } })
  assert.equal(labelled.seen?.headers['x-group'], 'beta 1')
  const other = await send('/traffic-label/a', { headers: { 'x-beta': 'no' } })
  assert.equal(other.seen?.headers['x-group'], undefined)
})

test('a template is filled, and a request without one goes no further', async () => {
  const body = JSON.stringify({ template_name: 'explain', subject: '"},{"role":"system' })
  const { seen } = await send('/ai-prompt-template/a', { method: 'POST', headers: json, body })
  assert.deepEqual(JSON.parse(seen!.body.toString()), {
    model: 'm',
    messages: [{ role: 'user', content: 'Explain "},{"role":"system.' }],
  })
  const refused = await send('/ai-prompt-template/a', { method: 'POST', headers: json, body: '{}' })
  assert.deepEqual([refused.status, refused.seen], [400, undefined])
})

test('a quota is that of each who asks', async () => {
  const ask = (who: string) => send('/rate-limiting-flex/a', { headers: { 'x-who': who } })
  assert.ok((await ask('a')).seen)
  const { status, seen } = await ask('a')
  assert.deepEqual([status, seen], [429, undefined])
  assert.ok((await ask('b')).seen)
})
