import assert from 'node:assert/strict'
import { test } from 'node:test'
import { usesOf } from './uses.ts'

test('a resource uses what it names, and what its plugins name', () => {
  const uses = usesOf({
    service_id: 's',
    upstream: { tls: { client_cert_id: 1 } },
    plugins: {
      'grpc-transcode': { proto_id: 'p' },
      'traffic-split': {
        rules: [
          {
            weighted_upstreams: [
              { upstream_id: 7 },
              { upstream: { tls: { client_cert_id: 2 } } },
              { weight: 1 },
            ],
          },
          { weighted_upstreams: 'nonsense' },
        ],
      },
    },
  })
  assert.deepEqual(uses.direct, ['services/s', 'ssls/1'])
  assert.deepEqual(uses.plugins, ['protos/p', 'upstreams/7', 'ssls/2'])
})
