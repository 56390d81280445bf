/** The dashboard for Grafana and the alerts for Prometheus, beside the metrics of a gateway that runs. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse } from 'yaml'
import { type SyncStatus, syncFamilies } from '../../src/config-sync/status.ts'
import { Authority, type Certificate, pemBlock } from '../harness/certificates.ts'
import { freePort, type RunningGateway, startGateway } from '../harness/gateway.ts'
import { read, root } from '../rules/repository.ts'
import { readQuery } from './promql.ts'

interface Target {
  expr: string
}

interface Panel {
  id: number
  type: string
  title: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: Target[]
}

interface Rule {
  alert: string
  expr: string
  labels: { severity: string }
  annotations: { summary: string; runbook: string }
}

const dashboard = JSON.parse(read('deploy/grafana/sluice.json')) as {
  panels: Panel[]
  annotations: { list: Target[] }
  templating: { list: { name: string; definition?: string }[] }
}
const rules = (
  parse(read('deploy/prometheus/alerts.yaml')) as { groups: { rules: Rule[] }[] }
).groups.flatMap((group) => group.rules)

/** Variables of the dashboard, as Grafana puts them in. */
const filled = (expression: string) =>
  expression.replaceAll('$__rate_interval', '5m').replaceAll('$instance', '.*').replaceAll('$route', '.*')

/** What the collector of Prometheus adds to every sample. */
const labelsOfPrometheus = ['instance', 'job']

suite('the dashboard and the alerts', () => {
  const authority = new Authority()
  let gateway: RunningGateway
  /** Labels by the name of the metric; null: it has no sample yet. */
  let known: Map<string, Set<string> | null>

  before(async () => {
    const metrics = await freePort()
    const certificate = authority.issue({ names: ['shop.example.com'] })
    gateway = await startGateway((port) => configuration(port, metrics, certificate))
    for (const path of ['/mocked', '/guarded', '/nowhere'])
      await fetch(`http://127.0.0.1:${gateway.port}${path}`)
    known = new Map(syncMetrics)
    for (const [name, labels] of readExposition(await exposition(metrics))) known.set(name, labels)
  })
  after(async () => {
    await gateway.stop()
    authority.remove()
  })

  const expressions = [
    ...dashboard.panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ of: title, expr })),
    ),
    ...dashboard.annotations.list.map(({ expr }) => ({ of: 'annotations', expr })),
    ...rules.map(({ alert, expr }) => ({ of: alert, expr })),
  ]

  for (const [index, { of, expr }] of expressions.entries()) {
    test(`${of}: query ${index + 1} asks for metrics and labels that there are`, () => {
      const { metrics, matchers, groupings } = readQuery(filled(expr))
      assert.ok(metrics.length > 0)
      for (const metric of metrics) assert.ok(known.has(metric), `there is no metric ${metric}`)
      const labels = new Set(labelsOfPrometheus)
      for (const metric of metrics) for (const label of known.get(metric) ?? []) labels.add(label)
      for (const { metric, label } of matchers) {
        const own = known.get(metric)
        if (own === null || labelsOfPrometheus.includes(label)) continue
        assert.ok(own?.has(label), `${metric} has no label ${label}`)
      }
      if (metrics.some((metric) => known.get(metric) === null)) return
      for (const label of groupings) assert.ok(labels.has(label), `nothing in ${expr} has the label ${label}`)
    })
  }

  test('variables of the dashboard come from metrics that there are', () => {
    for (const { name, definition } of dashboard.templating.list) {
      if (definition === undefined) continue
      const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(definition)!
      assert.ok(known.has(metric!), definition)
      assert.equal(label, name)
    }
  })

  test('panels do not lie on one another', () => {
    const places = new Set<string>()
    for (const { gridPos, title } of dashboard.panels) {
      assert.ok(gridPos.x + gridPos.w <= 24, title)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!places.has(`${x} ${y}`), `${title} lies on another panel`)
          places.add(`${x} ${y}`)
        }
      }
    }
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
  })

  test('every alert says what happened, how bad it is, and where to read what to do', () => {
    for (const { alert, labels, annotations } of rules) {
      assert.match(labels.severity, /^(warning|critical)$/, alert)
      assert.ok(annotations.summary.endsWith('.'), alert)
      const [file, anchor] = annotations.runbook.split('#') as [string, string | undefined]
      assert.ok(
        readdirSync(`${root}docs/guides`).includes(file.replace('docs/guides/', '')),
        annotations.runbook,
      )
      if (anchor !== undefined) assert.ok(anchorsOf(read(file)).includes(anchor), annotations.runbook)
    }
    assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  })
})

test('a query that is none, or asks for nothing, is noticed', () => {
  assert.throws(() => readQuery('rate(sluice_ready['), SyntaxError)
  assert.deepEqual(readQuery('sum by (a) (rate(b{c="d"}[5m])) / on (e) f'), {
    metrics: ['b', 'f'],
    matchers: [{ metric: 'b', label: 'c' }],
    groupings: ['a', 'e'],
  })
})

/** The metrics of a gateway with a control plane, which needs no control plane to be named. */
const syncMetrics = syncFamilies({
  certificate: { serial: '', not_after: 0 },
  configuration: { state: 'none', version: 0, stale: false },
  refusals: { expired: 1 },
} as unknown as SyncStatus).map(
  ({ name, values }) => [name, new Set(values.flatMap(({ labels }) => Object.keys(labels)))] as const,
)

/** Whatever makes a metric appear. */
const configuration = (port: number, metrics: number, { cert, key }: Certificate) => `
gateway:
  listeners: [{ name: http, host: 127.0.0.1, port: ${port} }]
  workers: 1
  metrics: { port: ${metrics} }
  control: { enabled: false }
global_rules:
  - { id: seen, plugins: { prometheus: {}, file-logger: { path: /dev/null } } }
ssls:
  - id: shop
    snis: [shop.example.com]
    cert: ${pemBlock(cert, 6)}
    key: ${pemBlock(key, 6)}
upstreams:
  - id: checked
    nodes: { "127.0.0.1:${port}": 1 }
    checks: { active: { http_path: /mocked, healthy: { interval: 1 } } }
    circuit_breaker: { max_requests: 10 }
routes:
  - { id: mocked, uri: /mocked, plugins: { mocking: { response_example: hello }, http-logger: { uri: 'http://127.0.0.1:1/' } } }
  - { id: guarded, uri: /guarded, plugins: { key-auth: {} }, upstream_id: checked }
`

async function exposition(port: number): Promise<string> {
  // What threads count is brought together now and then.
  for (let tries = 0; ; tries++) {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    if (text.includes('apisix_http_status{code="401"') || tries === 200) return text
    await sleep(50)
  }
}

function readExposition(text: string): Map<string, Set<string> | null> {
  const found = new Map<string, Set<string> | null>()
  for (const line of text.split('\n')) {
    const declared = /^# TYPE (\w+) (\w+)/.exec(line)
    if (declared !== null) {
      const suffixes = declared[2] === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
      for (const suffix of suffixes) found.set(declared[1]! + suffix, null)
    }
    const sample = /^(\w+)(?:\{(.*)\})? /.exec(line)
    if (sample === null || line.startsWith('#')) continue
    const labels = found.get(sample[1]!) ?? new Set()
    for (const [, label] of (sample[2] ?? '').matchAll(/(\w+)="/g)) labels.add(label!)
    found.set(sample[1]!, labels)
  }
  return found
}

/** As a page of Markdown has them on the web. */
function anchorsOf(page: string): string[] {
  return Array.from(page.matchAll(/^#+ (.+)$/gm), ([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}
