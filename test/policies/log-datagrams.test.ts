/** Loggers over UDP and over syslog in TLS, each at a stub that keeps what it is told; and what becomes of traffic when one fails. */
import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { datagramServer, streamServer } from '../../src/policies/kit/logging/testing.ts'
import { Authority } from '../harness/certificates.ts'
import { freePort } from '../harness/gateway.ts'
import {
  assertDiscreet,
  assertEntry,
  loggingGateway,
  logRoute,
  ofGateway,
} from '../harness/logging-gateway.ts'

const closer = { after: (close: () => void) => after(close) }
const authority = new Authority()
after(() => authority.remove())
const known = authority.issue({ names: ['127.0.0.1'] })
const another = authority.issue({ names: ['elsewhere.example'] })
const sls = await streamServer(closer, { cert: known.cert, key: known.key })
const slsOfAnother = await streamServer(closer, { cert: another.cert, key: another.key })
const udp = await datagramServer(closer)
const syslog = await datagramServer(closer)
const statsd = await datagramServer(closer)

const single = { batch_max_size: 1 }
const bodies = { ...single, include_req_body: true }
const slsConfig = (port: number) => ({
  ...bodies,
  host: '127.0.0.1',
  port,
  project: 'shop',
  logstore: 'requests',
  access_key_id: 'gateway',
  access_key_secret: ofGateway,
})

const gateway = await loggingGateway(
  [
    { id: 'loggly', host: '127.0.0.1', port: syslog.port },
    { id: 'datadog', host: '127.0.0.1', port: statsd.port, namespace: 'edge', constant_tags: ['env:test'] },
  ],
  [
    logRoute('loggly', {
      ...bodies,
      customer_token: ofGateway,
      tags: ['edge', 'shop'],
      severity_map: { 201: 'NOTICE' },
    }),
    logRoute('datadog', { ...single, include_method: true }),
    logRoute('udp-logger', { ...bodies, host: '127.0.0.1', port: udp.port }),
    logRoute('sls-logger', slsConfig(sls.port)),
    logRoute('sls-logger', slsConfig(slsOfAnother.port), 'sls-of-another'),
    logRoute('sls-logger', slsConfig(await freePort()), 'sls-gone'),
  ],
  { NODE_EXTRA_CA_CERTS: authority.certFile },
)

/** Where the kernel lets nobody send to who did not ask for it. */
const broadcast = '255.255.255.255'
const forbidding = await loggingGateway(
  [{ id: 'datadog', host: broadcast }],
  [logRoute('datadog', single), logRoute('udp-logger', { ...bodies, host: broadcast, port: 9 })],
)

const delivered = { delivered: 1, failed: 0 }
const failed = { delivered: 0, failed: 1 }

suite('loggers over UDP, and syslog over TLS', () => {
  /** Priority, version, time, host, name and process of a line of syslog (RFC 5424 6). */
  const line = /^<(\d+)>1 (\S+) 127\.0\.0\.1 apisix \d+ - \[([^\]]+)\] (\{.*\})(\n?)$/

  test('udp-logger sends the entry as a datagram', async () => {
    assert.deepEqual(await gateway.outcomes('udp-logger', () => gateway.exchange('udp-logger')), delivered)
    assertEntry(JSON.parse(await udp.messages.next()), 'udp-logger', gateway.upstream)
  })

  test('loggly sends a line of syslog, with the token and the tags', async () => {
    assert.deepEqual(await gateway.outcomes('loggly', () => gateway.exchange('loggly')), delivered)
    const [, priority, time, data, entry, end] = (await syslog.messages.next()).match(line)!
    assert.deepEqual(
      [priority, data, end],
      ['13', `${ofGateway}@41058 tag="edge" tag="shop"`, ''],
      'user, notice',
    )
    assert.equal(new Date(time!).toISOString(), time)
    assertEntry(JSON.parse(entry!), 'loggly', gateway.upstream)
  })

  test('datadog sends its metrics with their tags, and nothing of what the caller sent', async () => {
    assert.deepEqual(await gateway.outcomes('datadog', () => gateway.exchange('datadog')), delivered)
    const datagram = await statsd.messages.next()
    assert.doesNotMatch(datagram, /planted/)
    const tags =
      '#env:test,route_name:datadog,method:POST,balancer_ip:127.0.0.1,response_status:201,' +
      'response_status_class:2xx,scheme:http'
    const metrics = datagram.split('\n').map((one) => one.split('|'))
    assert.deepEqual(
      metrics.map(([name, type, tagged]) => [name!.split(':')[0], type, tagged]),
      [
        ['edge.request.counter', 'c', tags],
        ['edge.request.latency', 'h', tags],
        ['edge.upstream.latency', 'h', tags],
        ['edge.apisix.latency', 'h', tags],
        ['edge.ingress.size', 'ms', tags],
        ['edge.egress.size', 'ms', tags],
      ],
    )
    for (const [metric] of metrics) assert.match(metric!, /:\d+(\.\d+)?$/)
  })

  test('sls-logger sends a line of syslog over TLS, with project, store and key', async () => {
    assert.deepEqual(await gateway.outcomes('sls-logger', () => gateway.exchange('sls-logger')), delivered)
    const [, priority, , data, entry, end] = (await sls.messages.next()).match(line)!
    assert.deepEqual(
      [priority, data, end],
      [
        '46',
        `logservice project="shop" logstore="requests" access-key-id="gateway" access-key-secret="${ofGateway}"`,
        '\n',
      ],
    )
    assertEntry(JSON.parse(entry!), 'sls-logger', gateway.upstream)
  })

  test('sls-logger says nothing to a server with the certificate of another, and nobody hears of it', async () => {
    for (const id of ['sls-of-another', 'sls-gone'])
      assert.deepEqual(await gateway.outcomes('sls-logger', () => gateway.exchange(id)), failed)
    assert.deepEqual(slsOfAnother.messages.all, [])
  })

  test('an entry that fits no datagram is lost, and traffic goes on', async () => {
    const body = 'x'.repeat(70_000)
    for (const policy of ['udp-logger', 'loggly'])
      assert.deepEqual(await gateway.outcomes(policy, () => gateway.exchange(policy, { body })), failed)
    assert.deepEqual([udp.messages.all.length, syslog.messages.all.length], [1, 1])
  })

  test('datagrams that the kernel does not send are lost, and traffic goes on', async () => {
    for (const policy of ['udp-logger', 'datadog'])
      assert.deepEqual(await forbidding.outcomes(policy, () => forbidding.exchange(policy)), failed)
  })
})

test('nothing secret stands in the logs of the gateways', () => {
  assertDiscreet(gateway)
  assertDiscreet(forbidding)
})
