import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { readProxyHeader } from './header-reader.ts'
import { proxyHeader, signature } from './header-writer.ts'

const read = (bytes: Buffer) => readProxyHeader(bytes, bytes.length)
const text = (line: string) => read(Buffer.from(line, 'latin1'))

const four = { address: '192.0.2.7', port: 56_324, localAddress: '198.51.100.1', localPort: 443 }
const six = { address: '2001:db8::7', port: 1, localAddress: '2001:db8::1', localPort: 65_535 }

/** A header of version 2 by its parts. */
function binary(versionAndCommand: number, family: number, payload: Buffer, length = payload.length): Buffer {
  const head = Buffer.alloc(16)
  signature.copy(head)
  head[12] = versionAndCommand
  head[13] = family
  head.writeUInt16BE(length, 14)
  return Buffer.concat([head, payload])
}

suite('a header of the PROXY protocol', () => {
  test('that is written is read as what it says', () => {
    for (const version of ['v1', 'v2'] as const) {
      for (const ends of [four, six]) {
        const header = proxyHeader(version, ends)
        assert.deepEqual(read(Buffer.concat([header, Buffer.from('rest')])), {
          kind: 'header',
          length: header.length,
          client: { address: ends.address, port: ends.port },
        })
      }
      const mixed = proxyHeader(version, { ...four, localAddress: '::1' })
      assert.deepEqual(read(mixed), { kind: 'header', length: mixed.length, client: null })
    }
    assert.equal(proxyHeader('v1', four).toString(), 'PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n')
    assert.equal(
      proxyHeader('v2', four).toString('hex'),
      '0d0a0d0a000d0a515549540a' + '2111000c' + 'c0000207' + 'c6336401' + 'dc04' + '01bb',
    )
  })

  test('is waited for as long as what has come can become one', () => {
    for (const version of ['v1', 'v2'] as const) {
      const header = proxyHeader(version, six)
      for (let length = 0; length < header.length; length++) {
        assert.equal(readProxyHeader(header, length).kind, 'incomplete', `${version} ${length}`)
      }
    }
    assert.equal(text(`PROXY UNKNOWN ${'x'.repeat(90)}`).kind, 'incomplete')
    assert.equal(text(`PROXY UNKNOWN ${'x'.repeat(93)}`).kind, 'invalid')
  })

  test('may say that its peer is unknown, or speaks for itself', () => {
    assert.deepEqual(text('PROXY UNKNOWN\r\nrest'), { kind: 'header', length: 15, client: null })
    assert.deepEqual(text('PROXY UNKNOWN ffff:f::1 whatever\r\n').kind, 'header')
    const addresses = Buffer.from('c0000207c6336401dc0401bb', 'hex')
    assert.deepEqual(read(binary(0x20, 0x11, addresses)), { kind: 'header', length: 28, client: null })
    assert.deepEqual(read(binary(0x21, 0x00, Buffer.alloc(0))), { kind: 'header', length: 16, client: null })
    assert.deepEqual(read(binary(0x21, 0x31, Buffer.alloc(216))), {
      kind: 'header',
      length: 232,
      client: null,
    })
  })

  test('may have more behind the addresses, which is skipped', () => {
    const addresses = Buffer.from('c0000207c6336401dc0401bb', 'hex')
    const facts = Buffer.from('030004a9b87e8f020005612e746573', 'hex')
    const header = binary(0x21, 0x11, Buffer.concat([addresses, facts]))
    assert.deepEqual(read(Buffer.concat([header, Buffer.from('GET')])), {
      kind: 'header',
      length: header.length,
      client: { address: '192.0.2.7', port: 56_324 },
    })
  })

  test('tells IPv4 clients as such, however they are written', () => {
    const client = { address: '192.0.2.7', port: 1 }
    for (const address of ['::ffff:192.0.2.7', '::FFFF:c000:207']) {
      const found = text(`PROXY TCP6 ${address} ::1 1 2\r\n`)
      assert.deepEqual(found.kind === 'header' && found.client, client)
    }
    const raw = Buffer.concat([
      Buffer.from('00000000000000000000ffffc0000207', 'hex'),
      Buffer.alloc(16),
      Buffer.from('00010002', 'hex'),
    ])
    const found = read(binary(0x21, 0x21, raw))
    assert.deepEqual(found.kind === 'header' && found.client, client)
  })

  test('that is malformed is none', () => {
    for (const line of [
      'GET / HTTP/1.1\r\n',
      'PROXY\r\n',
      'PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n',
      'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n',
      'PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n',
      'PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n',
      'PROXY TCP4 ::1 ::1 1 2\r\n',
      'PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n',
      'PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n',
      'PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n',
      'PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n',
      'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n\r\n',
      'PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n',
      'proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
      '\r\n\r\n\0\r\nQUIT\r',
    ]) {
      assert.equal(text(line).kind, 'invalid', JSON.stringify(line))
    }
    const addresses = Buffer.from('c0000207c6336401dc0401bb', 'hex')
    for (const bytes of [
      binary(0x11, 0x11, addresses),
      binary(0x31, 0x11, addresses),
      binary(0x22, 0x11, addresses),
      binary(0x21, 0x41, addresses),
      binary(0x21, 0x13, addresses),
      binary(0x21, 0x11, addresses.subarray(0, 11)),
      binary(0x21, 0x21, addresses),
      binary(0x21, 0x11, Buffer.alloc(0), 65_535),
    ]) {
      assert.equal(read(bytes).kind, 'invalid', bytes.toString('hex'))
    }
  })
})
