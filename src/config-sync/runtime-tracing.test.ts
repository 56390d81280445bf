import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tracingSettings } from '../config/tracing-settings.ts'
import { type RuntimeTracing, withRuntimeTracing } from './runtime-tracing.ts'

const standard = tracingSettings({})!
const own = tracingSettings({ exporter: { endpoint: 'http://own:1/x' }, sampling: { overall: 5 } })!
const otel = (properties: NonNullable<RuntimeTracing['provider']>['properties']): RuntimeTracing => ({
  enabled: true,
  provider: { type: 'opentelemetry', ...(properties && { properties }) },
})

test('tracing is switched on and off, with what the files say underneath', () => {
  assert.equal(withRuntimeTracing(own, { enabled: false }), null)
  assert.deepEqual(withRuntimeTracing(null, otel(undefined)), standard)
  assert.deepEqual(withRuntimeTracing(own, otel(undefined)), own)
  // It says nothing of whether there is any.
  assert.equal(withRuntimeTracing(null, { sampling: { overall: 1 } }), null)
  const sampled = withRuntimeTracing(own, { sampling: { overall: 10, random: 20, client: 0 } })
  assert.deepEqual(sampled?.sampling, { sampler: 'parent_base', overall: 10, random: 20, client: 0 })
  assert.equal(sampled?.exporter.endpoint, 'http://own:1/x')
})

test('spans for a platform that is none of ours go where the files say, or nowhere', () => {
  const anypoint: RuntimeTracing = {
    enabled: true,
    provider: { type: 'anypoint', properties: { address: 'http://elsewhere:1' } },
  }
  assert.equal(withRuntimeTracing(null, anypoint), null)
  assert.deepEqual(withRuntimeTracing(own, anypoint), own)
})

test('the properties of a provider are those of Flex Gateway', () => {
  const at = (properties: object) => {
    const { protocol, endpoint } = withRuntimeTracing(null, otel(properties))!.exporter
    return `${protocol} ${endpoint}`
  }
  assert.equal(at({ address: 'h2://host:4317' }), 'grpc http://host:4317')
  assert.equal(at({ address: 'http://host:4318' }), 'http/protobuf http://host:4318/v1/traces')
  assert.equal(at({ address: 'https://host/in', serviceType: 'grpc' }), 'grpc https://host/in')
  const all = { serviceName: 'edge', timeout: '3s', resourceAttributes: { site: 'a' } }
  const { service_name: name, exporter, resource } = withRuntimeTracing(null, otel(all))!
  assert.deepEqual([name, exporter.timeout, resource], ['edge', 3000, { site: 'a' }])
})

test('labels are literals, fields of requests and variables of the environment', () => {
  const labels: RuntimeTracing['labels'] = [
    { name: 'a', defaultValue: 'x' },
    { name: 'b', type: 'requestHeader', keyName: 'X-B' },
    { name: 'c', type: 'environment', keyName: 'C', defaultValue: 'none' },
  ]
  assert.deepEqual(withRuntimeTracing(own, { enabled: true, labels })?.labels, [
    { name: 'a', type: 'literal', default: 'x' },
    { name: 'b', type: 'request_header', key: 'X-B' },
    { name: 'c', type: 'environment', key: 'C', default: 'none' },
  ])
})
