import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const brokers = [{ host: '127.0.0.1', port: 9092 }]

for (const right of [
  { broker_list: { '127.0.0.1': 3 }, kafka_topic: 'test' },
  { brokers, kafka_topic: 'test', required_acks: -1 },
  { brokers: [{ ...brokers[0], sasl_config: { user: 'u', password: 'p' } }], kafka_topic: 'test', tls: {} },
]) {
  test(`is taken: ${JSON.stringify(right)}`, () => {
    bindPolicy(policy, { config: right as never })
  })
}

for (const [wrong, finding] of [
  [{ kafka_topic: 'test' }, /./],
  [{ brokers }, /./],
  [{ brokers, broker_list: { a: 1 }, kafka_topic: 'test' }, /./],
  [{ brokers: [], kafka_topic: 'test' }, /brokers/],
  [{ brokers: [...brokers, ...brokers], kafka_topic: 'test' }, /brokers/],
  [{ brokers: [{ host: 'a' }], kafka_topic: 'test' }, /port/],
  [{ brokers: [{ host: 'a', port: 0 }], kafka_topic: 'test' }, /port/],
  [{ brokers: [{ host: 'a', port: 1, sasl_config: { user: 'u' } }], kafka_topic: 'test' }, /password/],
  [{ brokers, kafka_topic: 'test', required_acks: 0 }, /required_acks/],
  [{ brokers, kafka_topic: 'test', timeout: '10' }, /timeout/],
  [{ brokers, kafka_topic: 'test', api_version: 3 }, /api_version/],
  [{ brokers, kafka_topic: 'test', meta_format: 'other' }, /meta_format/],
  [{ brokers, kafka_topic: 'test', include_req_body_expr: [['a', '?', 'b']] }, /include_req_body_expr/],
] as const) {
  test(`is refused: ${JSON.stringify(wrong)}`, () => {
    assert.throws(() => bindPolicy(policy, { config: wrong as never }), finding)
  })
}
