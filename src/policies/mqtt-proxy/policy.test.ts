import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import { packetLength, readConnectPacket } from './connect-packet.ts'
import policy from './policy.ts'

/** A CONNECT packet (MQTT 5.0 section 3.1). */
function connect(
  level: number,
  clientId: string,
  { protocol = 'MQTT', properties = Buffer.of(0) } = {},
): Buffer {
  const text = (value: string) =>
    Buffer.concat([Buffer.of(value.length >> 8, value.length & 255), Buffer.from(value, 'latin1')])
  const rest = Buffer.concat([
    text(protocol),
    Buffer.of(level, 2, 0, 60),
    level === 5 ? properties : Buffer.alloc(0),
    text(clientId),
  ])
  const length = rest.length < 128 ? [rest.length] : [(rest.length & 127) | 128, rest.length >> 7]
  return Buffer.concat([Buffer.of(0x10, ...length), rest])
}

suite('a CONNECT packet', () => {
  test('is read in both versions, with properties and a long identifier', () => {
    for (const level of [4, 5]) {
      for (const clientId of ['', 'a', 'x'.repeat(200)]) {
        const packet = connect(level, clientId)
        assert.equal(packetLength(packet), packet.length)
        assert.deepEqual(readConnectPacket(packet), { protocol: 'MQTT', level, clientId })
      }
    }
    const properties = Buffer.of(5, 0x11, 0, 0, 0, 10)
    assert.equal(readConnectPacket(connect(5, 'foo', { properties }))!.clientId, 'foo')
  })

  test('is waited for piece by piece, and never for more than there may be', () => {
    const packet = connect(4, 'x'.repeat(200))
    assert.deepEqual([packetLength(packet.subarray(0, 0)), packetLength(packet.subarray(0, 2))], [0, 0])
    assert.equal(packetLength(packet.subarray(0, 3)), packet.length)
    assert.equal(packetLength(Buffer.of(0x30, 0)), -1)
    assert.equal(packetLength(Buffer.of(0x10, 0xff, 0xff, 0xff, 0x7f)), -1)
    assert.equal(packetLength(Buffer.of(0x10, 0xff, 0xff, 0xff, 0xff)), -1)
  })

  test('that lies about its lengths is none', () => {
    for (const bytes of [
      Buffer.of(0x10, 0),
      Buffer.of(0x10, 3, 0, 4, 77),
      connect(4, 'abc').subarray(0, -1),
      connect(5, 'abc', { properties: Buffer.of(0x7f) }),
      connect(5, 'abc', { properties: Buffer.of(0xff, 0xff, 0xff, 0xff) }),
    ]) {
      assert.equal(readConnectPacket(bytes), null, bytes.toString('hex'))
    }
  })
})

test('requests pass: it is for streams', async () => {
  const { answer } = await bindPolicy(policy, { config: { protocol_level: 4 } }).run()
  assert.equal(answer.status, 200)
  assert.throws(() => bindPolicy(policy, { config: {} }))
  assert.throws(() => bindPolicy(policy, { config: { protocol_level: '4' } as never }))
})
