import assert from 'node:assert/strict'
import { test } from 'node:test'
import { datagramServer, streamServer } from '../kit/logging/testing.ts'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const line = /^<46>1 2026-01-01T00:00:00\.000Z api\.example apisix \d+ - - \{"request":.*\}\n$/

test('entries are lines of RFC 5424, over TCP in one go and over UDP each in a datagram', async (t) => {
  const stream = await streamServer(t)
  const tcp = bindPolicy(policy, { config: { host: '127.0.0.1', port: stream.port, batch_max_size: 2 } })
  await tcp.run()
  await tcp.run()
  const lines = (await stream.messages.next()).split(/(?<=\n)/)
  assert.equal(lines.length, 2)
  for (const one of lines) assert.match(one, line)

  const { port, messages } = await datagramServer(t)
  const udp = bindPolicy(policy, { config: { host: '127.0.0.1', port, sock_type: 'udp', batch_max_size: 2 } })
  await udp.run()
  await udp.run()
  assert.match(await messages.next(), line)
  assert.match(await messages.next(), line)
})

test('a host of the client\u2019s choice splits no line', async (t) => {
  const { port, messages } = await datagramServer(t)
  const bound = bindPolicy(policy, {
    config: { host: '127.0.0.1', port, sock_type: 'udp', batch_max_size: 1 },
  })
  await bound.run({ host: 'a b\nc' })
  assert.match(await messages.next(), /^<46>1 \S+ abc apisix /)
})

for (const config of [
  {},
  { host: 'a' },
  { host: 'a', port: 1, sock_type: 'x' },
  { host: 'a', port: 1, pool_size: 4 },
  { host: 'a', port: 1, flush_limit: 0 },
]) {
  test(`is refused: ${JSON.stringify(config)}`, () => {
    assert.throws(() => bindPolicy(policy, { config: config as never }), /config/)
  })
}
