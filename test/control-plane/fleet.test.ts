/** Instances, their statuses, installation, and the Gateway Manager API. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, before, suite, test } from 'node:test'
import { Ajv } from 'ajv'
import { parse } from 'yaml'
import { paths } from '../../src/config-sync/protocol/index.ts'
import {
  type Json,
  startTestControlPlane,
  TestAgent,
  type TestControlPlane,
} from '../harness/embedded-control-plane.ts'

suite('the fleet', () => {
  let plane: TestControlPlane
  let agent: TestAgent
  before(async () => {
    plane = await startTestControlPlane()
    agent = await TestAgent.register(plane.platform, plane.token)
    await agent.poll()
  })
  after(() => plane.remove())

  const only = async () => (await plane.ask('GET', '/api/gateway_groups/default/instances')).json.list[0]

  test('knows an instance from its heartbeat on', async () => {
    const { status, json } = await agent.heartbeat()
    assert.equal(status, 200)
    assert.deepEqual(json, {
      gateway_group_id: 'default',
      instance_id: 'instance-1',
      config: { config_version: 1, config_payload: {} },
    })
    const instance = await only()
    assert.equal(instance.status, 'Healthy')
    assert.equal(instance.configuration.status, 'UP_TO_DATE')
    assert.deepEqual([instance.cores, instance.api_calls], [2, 10])
    await agent.heartbeat()
    assert.equal((await only()).api_calls, 20)
  })

  test('shows what was refused, with findings', async () => {
    await plane.ask('PUT', '/apisix/admin/upstreams/u1', { nodes: { '127.0.0.1:1': 1 } })
    await agent.until(({ resources }) => 'upstreams' in resources)
    const findings = [{ code: 'unknown-policy', severity: 'error', path: 'routes[0]', message: 'no' }]
    const refusal = { code: 'invalid-configuration', message: 'it has errors', findings }
    assert.equal((await agent.acknowledge('refused', { refusal })).status, 204)
    const instance = await only()
    assert.equal(instance.status, 'OutOfSync')
    assert.equal(instance.configuration.status, 'REFUSED')
    assert.deepEqual(instance.configuration.refusal, refusal)
    assert.equal((await agent.acknowledge('applied')).status, 204)
    assert.equal((await only()).status, 'Healthy')
    const count = await plane.ask('GET', '/api/instances/count/status')
    assert.deepEqual(count.json.value, { Healthy: 1, OutOfSync: 0, LostConnection: 0, Offline: 0 })
  })

  test('keeps of a heartbeat and a refusal what somebody looks at, however much was sent', async () => {
    const finding = {
      code: 'unknown-policy',
      severity: 'error',
      path: 'routes[0]',
      message: 'x'.repeat(2048),
    }
    const findings = Array.from({ length: 100 }, () => ({ ...finding, more: 'x'.repeat(4096) }))
    const refusal = { code: 'invalid-configuration', message: 'it has errors', findings }
    const sluice = {
      configuration: { state: 'refused', version: 1, stale: false, refusal },
      certificate: { serial: '1', not_after: 1 },
      status: 'STARTED',
      clock_skew: 0,
      started: 1,
      junk: 'x'.repeat(500_000),
    }
    const id = { instance_id: 'wordy' }
    assert.equal((await agent.heartbeat({ ...id, sluice })).status, 200)
    assert.equal((await agent.acknowledge('refused', { ...id, refusal })).status, 204)
    const { text } = await plane.ask('GET', '/api/instances?search=wordy')
    assert.ok(text.includes('it has errors') && text.length < 40_000, String(text.length))
    await plane.ask('DELETE', '/api/gateway_groups/default/instances/wordy')
  })

  test('does not let one gateway speak for the instance of another', async () => {
    const other = await TestAgent.register(plane.platform, await plane.newToken(), 'other')
    const { json } = await other.heartbeat()
    assert.notEqual(json.instance_id, 'instance-1')
    assert.equal((await plane.ask('GET', '/api/instances')).json.total, 2)
    other.held = { version: 2, sha256: '0'.repeat(64), issued: 0, text: '' }
    await other.acknowledge('refused', { refusal: { code: 'expired', message: 'x', findings: [] } })
    const { json: found } = await plane.ask('GET', '/api/instances?search=instance-1')
    assert.equal(found.list[0].status, 'Healthy')
  })

  test('takes heartbeats of other agents of the contract', async () => {
    const { status } = await agent.heartbeat({ instance_id: 'api7', probe_result: {}, something: 'else' })
    assert.equal(status, 200)
    const wrong = await agent.heartbeat({ cores: 'many' })
    assert.equal(wrong.status, 400)
    await plane.ask('DELETE', '/api/gateway_groups/default/instances/api7')
  })

  test('exports its cores by the hour', async () => {
    const now = Math.floor(Date.now() / 1000)
    const answer = await plane.ask('GET', `/api/instances/cores/export?begin_at=${now - 7200}&end_at=${now}`)
    assert.match(answer.text, /^time,max_dp_cores\n\d+,4\n$/)
    assert.equal(answer.headers['content-type'], 'text/csv')
    assert.equal((await plane.ask('GET', '/api/instances/cores/export')).status, 400)
  })

  test('is remembered after a restart', async () => {
    await plane.restart()
    const { json } = await plane.ask('GET', '/api/instances')
    assert.equal(json.total, 2)
  })

  test('shows what an instance uploads, to nobody else', async () => {
    const agent = await TestAgent.register(plane.platform, await plane.newToken(), 'uploads')
    agent.instance = 'uploading'
    await agent.heartbeat()
    const own = { instance_id: agent.instance }
    const nodes = [{ host: '10.0.0.1', port: 80, status: 'unhealthy' }]
    for (const [path, body] of [
      [paths.metrics, { ...own, metrics: 'sluice_up 1\n', truncated: true }],
      [paths.healthcheck, { ...own, data: [{ upstream_id: 'u', nodes }] }],
      [paths.logs, { ...own, lines: ['{"level":"warn"}'], dropped: 3 }],
    ] as const) {
      assert.equal((await agent.ask(path, 'POST', body)).status, 200, path)
      assert.equal((await agent.ask(path, 'POST', { ...body, instance_id: 'of another' })).status, 404, path)
      assert.equal((await plane.ask('POST', path, body)).status, 403, path)
    }
    const base = '/api/gateway_groups/default'
    const metrics = await plane.ask('GET', `${base}/instances/${agent.instance}/metrics`)
    assert.equal(metrics.text, 'sluice_up 1\n# The instance has more than it may send.\n')
    const { json: logs } = await plane.ask('GET', `${base}/instances/${agent.instance}/logs`)
    assert.deepEqual(logs, { list: ['{"level":"warn"}'], total: 1, dropped: 3 })
    const { json: health } = await plane.ask('GET', `${base}/healthcheck?upstream_id=u`)
    assert.deepEqual(health.list[0].data, [{ upstream_id: 'u', nodes }])
    const huge = await agent.ask(paths.metrics, 'POST', { ...own, metrics: 'x'.repeat(600_000) })
    assert.equal(huge.status, 400)
  })

  test('is installed by snippets that say what the gateway needs', async () => {
    const docker = await plane.ask(
      'GET',
      '/api/gateway_groups/default/deployment/docker?http_port=8080&extra_args[]=--memory&extra_args[]=1g%20$(x)',
    )
    assert.equal(docker.status, 200, docker.text)
    // A shell takes it apart as it is meant.
    const parts = execFileSync('sh', ['-c', `docker() { printf '%s\\0' "$@"; }\n${docker.text}`])
      .toString()
      .split('\0')
    assert.ok(parts.includes('8080:9080'))
    assert.ok(parts.includes('1g $(x)'))
    const pem = parts
      .find((part) => part.startsWith('API7_CONTROL_PLANE_CERT='))!
      .split('=')
      .slice(1)
      .join('=')
    assert.match(new X509Certificate(pem).subject, /OU=default/)

    const compose = await plane.ask('GET', '/api/gateway_groups/default/deployment/docker-compose?name=edge')
    const { services } = parse(compose.text)
    const { environment } = services.edge
    assert.deepEqual(JSON.parse(environment.API7_CONTROL_PLANE_ENDPOINTS), [plane.sync])
    assert.ok(
      new X509Certificate(environment.API7_CONTROL_PLANE_CERT).checkIssued(
        new X509Certificate(environment.API7_CONTROL_PLANE_CA),
      ),
    )
    assert.equal(JSON.parse(environment.SLUICE_CONFIGURATION_ROOTS).length, 1)

    const helm = await plane.ask(
      'GET',
      '/api/gateway_groups/default/deployment/helm?name=edge&namespace=gateways&replicas=2&workers=4&cpu_limit=500m&service_account=edge',
    )
    const values = execFileSync('sh', [
      '-c',
      `kubectl() { cat > /dev/null; }; helm() { printf '%s\\n' "$@"; }\n${helm.text}`,
    ]).toString()
    assert.match(values, /^replicaCount=2$/m)
    assert.match(values, /^controlPlane\.existingSecret=edge-tls$/m)
    // The chart stands in the repository, has every value that is set, and its schema takes what Helm makes of them.
    const lines = values.split('\n')
    assert.ok(lines.includes('./deploy/helm/sluice'))
    const chart = (file: string) =>
      readFileSync(new URL(`../../deploy/helm/sluice/${file}`, import.meta.url), 'utf8')
    const given: Json = parse(chart('values.yaml'))
    for (const [index, line] of lines.entries()) if (lines[index - 1] === '--set') setAsHelm(given, line)
    const isValid = new Ajv({ allErrors: true }).compile(JSON.parse(chart('values.schema.json')))
    assert.equal(isValid(given), true, JSON.stringify(isValid.errors))
    assert.equal(given.workers, 4)
    assert.deepEqual(given.controlPlane.endpoints, [plane.sync])
    assert.equal(JSON.parse(given.controlPlane.roots).length, 1)
    const hostile = await plane.ask('GET', '/api/gateway_groups/default/deployment/helm?name=a;b&namespace=x')
    assert.equal(hostile.status, 400)
  })
})

suite('the Gateway Manager API', () => {
  let plane: TestControlPlane
  const base = '/gatewaymanager/api/v1/organizations/default/environments/default/gateways'
  const space = '11111111-1111-4111-8111-111111111111'
  const wanted = (name: string, more: object = {}) => ({
    name,
    targetId: space,
    runtimeVersion: '1.12.1',
    releaseChannel: 'lts',
    size: 'small',
    ...more,
  })
  let id: string
  before(async () => {
    plane = await startTestControlPlane()
    const { status, json, text } = await plane.ask('POST', base, wanted('shop'))
    assert.equal(status, 201, text)
    id = json.id
  })
  after(() => plane.remove())

  test('shows a gateway', async () => {
    const { json } = await plane.ask('GET', `${base}/${id}`)
    assert.deepEqual(
      [json.name, json.status, json.desiredStatus, json.apiLimit, json.targetName],
      ['shop', 'STARTED', 'STARTED', 50, space],
    )
  })

  test('lists, filters, sorts and turns pages', async () => {
    await plane.ask('POST', base, wanted('shop-two', { size: 'large' }))
    await plane.ask('POST', base, wanted('other'))
    const names = async (query: string) => {
      const { json } = await plane.ask('GET', `${base}?${query}`)
      return [
        json.content.map(({ name }: Json) => name).join(' '),
        json.totalElements,
        json.pageNumber,
        json.pageSize,
      ]
    }
    assert.deepEqual(await names(''), ['other shop shop-two', 3, 0, 20])
    assert.deepEqual(await names('name=shop'), ['shop shop-two', 2, 0, 20])
    assert.deepEqual(await names('sortBy=name&sortOrder=desc'), ['shop-two shop other', 3, 0, 20])
    assert.deepEqual(await names('pageSize=2&pageNumber=1'), ['shop-two', 3, 1, 2])
    for (const query of ['sortBy=secret', 'sortOrder=up', 'pageSize=0', 'pageNumber=-1']) {
      assert.equal((await plane.ask('GET', `${base}?${query}`)).status, 400, query)
    }
    const usage = '/gatewaymanager/api/v1/organizations/default/usage/managed-gateways'
    assert.deepEqual((await plane.ask('GET', `${usage}?size=large`)).json, [
      { resource: 'managed-gateways-large', value: 1 },
    ])
  })

  const wrong: [string, number, object][] = [
    ['a name with capitals', 400, wanted('Shop')],
    ['a name that is taken', 409, wanted('shop')],
    ['a target that is no UUID', 400, wanted('fresh', { targetId: 'space' })],
    ['no size', 400, { ...wanted('fresh'), size: undefined }],
    ['a channel that there is not', 400, wanted('fresh', { releaseChannel: 'nightly' })],
    ['ingress without its URL', 400, wanted('fresh', { configuration: { ingress: {} } })],
    ['a sampling above 100', 400, wanted('fresh', { configuration: { tracing: { sampling: 101 } } })],
  ]
  for (const [what, status, body] of wrong) {
    test(`refuses ${what}`, async () => {
      const answer = await plane.ask('POST', base, body)
      assert.equal(answer.status, status, answer.text)
      assert.deepEqual(Object.keys(answer.json), ['status', 'message'])
    })
  }

  test('does not know gateways, organizations and environments that are not there', async () => {
    assert.equal((await plane.ask('GET', `${base}/none`)).status, 400)
    assert.equal((await plane.ask('GET', `${base}/${space}`)).status, 404)
    assert.equal(
      (await plane.ask('GET', base.replace('organizations/default', 'organizations/x'))).status,
      404,
    )
    assert.equal((await plane.ask('GET', base.replace('environments/default', 'environments/x'))).status, 404)
  })

  test('brings runtime configuration and desired status to the gateways', async () => {
    const agent = await TestAgent.register(plane.platform, await plane.newToken(id), 'replica')
    await agent.poll()
    assert.equal((await plane.ask('GET', `${base}/${id}/runtime-configuration`)).status, 404)
    const configuration = { timeouts: { upstreamResponseSeconds: 7 }, routing: { rewriteHostHeader: false } }
    const put = await plane.ask('PUT', `${base}/${id}/runtime-configuration`, { configuration })
    assert.equal(put.status, 200, put.text)
    assert.equal(put.json.desiredStatus, 'DEPLOYED')
    const got = await agent.until(({ runtime_configuration: runtime }) => runtime !== undefined)
    assert.deepEqual(got.runtime_configuration, configuration)
    await agent.heartbeat()
    await agent.acknowledge('applied')
    assert.equal((await plane.ask('GET', `${base}/${id}/runtime-configuration`)).json.status, 'APPLIED')
    assert.deepEqual((await plane.ask('GET', `${base}/${id}/status`)).json, {
      status: 'RUNNING',
      ready: true,
      running: true,
    })

    const stop = await plane.ask('PATCH', `${base}/${id}/desiredstatus`, { desiredStatus: 'STOPPED' })
    assert.equal(stop.status, 202)
    await agent.until(({ desired_status: status }) => status === 'STOPPED')
    assert.equal((await plane.ask('GET', `${base}/${id}/status`)).json.status, 'STOPPED')
    assert.equal(
      (await plane.ask('PATCH', `${base}/${id}/desiredstatus`, { desiredStatus: 'PAUSED' })).status,
      400,
    )

    const { json } = await plane.ask('GET', `${base}/${id}/registration`)
    assert.equal(json.expiration, new Date(new X509Certificate(agent.certificate).validTo).toISOString())
    // A replica by its own id: what it has is that of its group.
    const own = await plane.ask('GET', `${base}/${agent.registration.id}/runtime-configuration`)
    assert.deepEqual(own.json.configuration, configuration)
  })

  test('checks runtime configuration by what the gateway is', async () => {
    const put = (configuration: object) =>
      plane.ask('PUT', `${base}/${id}/runtime-configuration`, { configuration })
    for (const configuration of [
      { logging: { runtimeLogs: { logLevel: 'loud' } } },
      { tracing: { sampling: { overall: 101 } } },
      { timeouts: { streamIdleSeconds: -1 } },
      { probe: { enabled: true } },
      { logging: { outputs: { stdout: { type: 'stdout' } } } },
      { tracing: { provider: { type: 'opentelemetry' } } },
    ]) {
      assert.equal((await put(configuration)).status, 400, JSON.stringify(configuration))
    }
    assert.equal((await plane.ask('PUT', `${base}/${id}/runtime-configuration`, {})).status, 400)
  })

  test('changes and deletes a gateway', async () => {
    const {
      name: _,
      targetId: __,
      ...body
    } = wanted('x', { size: 'large', configuration: { properties: {} } })
    const changed = await plane.ask('PUT', `${base}/${id}`, body)
    assert.equal(changed.json.size, 'large')
    assert.equal(changed.json.name, 'shop')
    assert.equal((await plane.ask('PUT', `${base}/${id}`, wanted('renamed'))).status, 400)
    assert.equal((await plane.ask('DELETE', `${base}/${id}`)).status, 204)
    assert.equal((await plane.ask('GET', `${base}/${id}`)).status, 404)
  })
})

/** `--set`: numbers and booleans are taken for such, and a backslash makes a comma, brace or bracket a part of the text. */
function setAsHelm(values: Record<string, unknown>, assignment: string): void {
  const [, path, text] = /^([^=]+)=(.*)$/s.exec(assignment)!
  const value = /^(\d+|true|false)$/.test(text!) ? JSON.parse(text!) : text!.replace(/\\([,{}[\]])/g, '$1')
  const names = path!.replace(/\[(\d+)\]/g, '.$1').split('.')
  const last = names.pop()!
  // biome-ignore lint/suspicious/noExplicitAny: values of a chart have every form
  const owner = names.reduce<any>((object, name) => {
    object[name] ??= {}
    return object[name]
  }, values)
  assert.ok(owner === values ? last in values : true, `values.yaml has no ${path}`)
  owner[last] = value
}
