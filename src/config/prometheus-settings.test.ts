import assert from 'node:assert/strict'
import { test } from 'node:test'
import { settingsOfApisix } from './dialects/apisix.ts'
import { prometheusSchema, prometheusSettings } from './prometheus-settings.ts'
import type { Report } from './report.ts'
import { checkSchema } from './schema.ts'

/** The settings that APISIX's own file leads to, and which of its keys had no effect. */
function ofApisix(prometheus: Record<string, unknown>) {
  const ignored: string[] = []
  const report = {
    add: (place: { path: readonly unknown[] }, { code }: { code: string }) => {
      if (code === 'ignored-field') ignored.push(place.path.slice(2).join('.'))
    },
  } as unknown as Report
  const place = { document: null, path: [] } as never
  const gateway = settingsOfApisix(place, { plugin_attr: { prometheus } }, report)
  return { settings: prometheusSettings((gateway.prometheus ?? {}) as object), ignored }
}

test('what APISIX calls plugin_attr.prometheus becomes settings', () => {
  const { settings, ignored } = ofApisix({
    export_uri: '/a',
    metric_prefix: 'edge_',
    default_buckets: [10, 50, 500, 100, 50],
    metrics: {
      http_status: {
        extra_labels: [{ upstream_addr: '$upstream_addr' }, { status: '$upstream_status' }],
        expire: 600,
      },
      bandwidth: { expire: 0 },
    },
  })
  assert.deepEqual(ignored, [])
  assert.deepEqual(settings, {
    path: '/a',
    prefix: 'edge_',
    latency_buckets: [10, 50, 100, 500],
    extra_labels: { http_status: { upstream_addr: '$upstream_addr', status: '$upstream_status' } },
    expire: { http_status: 600_000 },
  })
})

test('what cannot be used is said to have no effect', () => {
  const { ignored } = ofApisix({
    export_uri: 1,
    y: 'z',
    refresh_interval: 15,
    metrics: { http_status: { extra_labels: 'no', expire: 'soon' } },
  })
  assert.deepEqual(ignored.toSorted(), [
    'export_uri',
    'metrics.http_status.expire',
    'metrics.http_status.extra_labels',
    'refresh_interval',
    'y',
  ])
})

for (const [field, value] of Object.entries({
  path: 'metrics',
  prefix: '1_',
  latency_buckets: [0],
  extra_labels: { http_status: { 'not-a-label': 'x' } },
  expire: { bandwidth: 'soon' },
})) {
  test(`${field} is refused where it does not fit`, () => {
    assert.equal(checkSchema(prometheusSchema, { [field]: value }).length, 1)
  })
}
