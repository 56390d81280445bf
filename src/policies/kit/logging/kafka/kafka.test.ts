import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { KafkaSink } from './kafka-sink.ts'
import { crc32c, recordBatch } from './record-batch.ts'
import { authenticate } from './sasl.ts'
import { KafkaReader, KafkaWriter } from './wire.ts'

test('the checksum is CRC-32C (RFC 3720 B.4)', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
})

test('numbers of records are in zigzag', () => {
  const hex = (value: number) => new KafkaWriter().varint(value).finish().toString('hex')
  assert.deepEqual([0, -1, 1, -2, 64, 300].map(hex), ['00', '01', '02', '03', '8001', 'd804'])
})

test('a batch says how many messages it has, and how long it is', () => {
  const batch = recordBatch(
    [
      { key: null, value: 'a' },
      { key: 'k', value: 'b' },
    ],
    1_700_000_000_000,
  )
  assert.equal(batch.readInt32BE(8), batch.length - 12)
  assert.equal(batch.readInt32BE(57), 2)
  assert.equal(batch.readBigInt64BE(27), 1_700_000_000_000n)
})

test('SCRAM is that of RFC 7677, and a server that cannot prove itself is refused', async () => {
  const credentials = { mechanism: 'SCRAM-SHA-256', user: 'user', password: 'pencil' } as const
  const says: string[] = []
  const server = (final: string) => async (message: Buffer) => {
    says.push(message.toString())
    const nonce = /r=([^,]*)/.exec(says[0]!)![1]
    return Buffer.from(says.length === 1 ? `r=${nonce}more,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096` : final)
  }
  await assert.rejects(authenticate(credentials, server('v=AAAA')), /does not know the password itself/)
  assert.match(says[1]!, /^c=biws,r=.*more,p=[\w+/=]+$/)
})

for (const challenge of ['r=other,s=c2FsdA==,i=4096', 'r=,s=,i=0', 'nonsense', 'i=99999999']) {
  test(`a challenge that is none is refused: ${challenge}`, async () => {
    const credentials = { mechanism: 'SCRAM-SHA-512', user: 'u', password: 'secret' } as const
    const said = authenticate(credentials, async () => Buffer.from(challenge))
    await assert.rejects(said, (error: Error) => !error.message.includes('secret'))
  })
}

test('a list that is longer than its message ends with it', () => {
  const reader = new KafkaReader(
    new KafkaWriter()
      .int32(2 ** 31 - 1)
      .int8(1)
      .finish(),
  )
  assert.throws(() => reader.list(() => reader.int8()), RangeError)
  const empty = new KafkaReader(new KafkaWriter().int32(2 ** 31 - 1).finish())
  assert.throws(() => empty.list(() => 0), RangeError)
})

for (const [what, answer] of [
  ['closes', Buffer.alloc(0)],
  ['announces too much', Buffer.from([0x7f, 0xff, 0xff, 0xff])],
  ['announces too little', Buffer.from([0, 0, 0, 1, 0])],
  ['answers nonsense', Buffer.from([0, 0, 0, 6, 0, 0, 0, 0, 1, 1])],
] as const) {
  test(`a broker that ${what} is an error`, async (t) => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end(answer))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    const sink = new KafkaSink({
      brokers: [{ host: '127.0.0.1', port }],
      topic: 'x',
      key: null,
      acks: 1,
      refresh: 1000,
      timeout: 60_000,
      now: () => 0,
    })
    await assert.rejects(sink.send('planted'), (error: Error) => !error.message.includes('planted'))
  })
}
