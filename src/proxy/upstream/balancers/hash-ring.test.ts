import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import zlib from 'node:zlib'
import { crc32 } from './crc32.ts'
import { HashRing, mostRingUnits, type RingMember, ringUnits } from './hash-ring.ts'

function members(weights: Record<string, number>): RingMember[] {
  return Object.entries(weights).map(([ringId, weight]) => ({ ringId, weight }))
}

function placed(ring: HashRing, list: readonly RingMember[], key: string): string {
  return list[ring.ownerOf(ring.find(crc32(key)))]!.ringId
}

/** The definition, word for word: hash the name, then the name and the last hash, 160 times for each unit of weight. */
function slowPoints(list: readonly RingMember[]): { place: number; ringId: string }[] {
  const points: { place: number; ringId: string; order: number }[] = []
  list.forEach(({ ringId, weight }, order) => {
    const name = Buffer.from(ringId.replaceAll(':', '\0'), 'latin1')
    const last = Buffer.alloc(4)
    for (let point = 0; point < weight * 160; point++) {
      const place = zlib.crc32(Buffer.concat([name, last]))
      points.push({ place, ringId, order })
      last.writeUInt32LE(place)
    }
  })
  return points.sort((a, b) => a.place - b.place || a.order - b.order)
}

function slowlyPlaced(points: ReturnType<typeof slowPoints>, key: string): string {
  const hash = zlib.crc32(Buffer.from(key, 'latin1'))
  return (points.find(({ place }) => place >= hash) ?? points[0]!).ringId
}

test('CRC-32 is that of zlib', () => {
  for (const text of ['', 'a', '127.0.0.1', '123456789', 'caf\xe9', '\0\xff'.repeat(100)]) {
    assert.equal(crc32(text), zlib.crc32(Buffer.from(text, 'latin1')), JSON.stringify(text))
  }
})

suite('the ring', () => {
  const cases: Record<string, Record<string, number>> = {
    'two of the same weight': { '127.0.0.1:1980': 1, '127.0.0.1:1981': 1 },
    'three of the same weight': { '127.0.0.1:1980': 1, '127.0.0.1:1981': 1, '127.0.0.1:1982': 1 },
    weights: { '10.0.0.1:80': 5, '10.0.0.2:80': 1, '10.0.0.3:8080': 2 },
    'names and IPv6': { 'a.example.com:443': 1, '[2001:db8::1]:80': 3, '[::1]:80': 1 },
    'a single one': { '127.0.0.1:1980': 1 },
    many: Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`10.1.0.${n}:80`, 1 + (n % 4)])),
  }
  for (const [name, weights] of Object.entries(cases)) {
    test(`${name}: every point and every key where the definition says`, () => {
      const list = members(weights)
      const ring = new HashRing(list)
      const slow = slowPoints(list)
      assert.deepEqual(
        Array.from({ length: ring.length }, (_, point) => list[ring.ownerOf(point)]!.ringId),
        slow.map(({ ringId }) => ringId),
      )
      for (let n = 0; n < 500; n++) {
        const key = `key-${n * 7919}`
        assert.equal(placed(ring, list, key), slowlyPlaced(slow, key), key)
      }
    })
  }

  test('finds the point on the hash itself, the next one, and the first one after the last', () => {
    const list = members({ 'a:1': 1, 'b:1': 1 })
    const ring = new HashRing(list)
    const places = slowPoints(list).map(({ place }) => place)
    assert.equal(ring.find(places[17]!), 17)
    assert.equal(ring.find(places[17]! + 1), 18)
    assert.equal(ring.find(places.at(-1)! + 1), 0)
    assert.equal(ring.find(0), 0)
  })

  test('places what the suite of Apache APISIX places', () => {
    const two = members({ '127.0.0.1:1980': 1, '127.0.0.1:1981': 1 })
    const three = members({ '127.0.0.1:1980': 1, '127.0.0.1:1981': 1, '127.0.0.1:1982': 1 })
    const seen = [
      ...['127.0.0.1', 'jack', 'tom', 'custom-one', 'cuscookie', 'custom-one-custom-two'].map((key) =>
        placed(new HashRing(two), two, key),
      ),
      placed(new HashRing(three), three, '127.0.0.1'),
    ]
    const expected = [1980, 1981, 1980, 1980, 1981, 1980, 1982].map((port) => `127.0.0.1:${port}`)
    assert.deepEqual(seen, expected)
    const sessions = Array.from({ length: 6 }, (_, n) => placed(new HashRing(two), two, `chash_val_${n + 1}`))
    assert.equal(sessions.filter((at) => at === '127.0.0.1:1980').length, 3)
  })
})

suite('weights on the ring', () => {
  test('count in units of their greatest common divisor, however large', () => {
    assert.deepEqual(ringUnits([100, 200, 50]), [2, 4, 1])
    assert.deepEqual(ringUnits([1_000_000_000, 0, 4_000_000_000]), [1, 0, 4])
    assert.deepEqual(ringUnits([7]), [1])
    assert.deepEqual(ringUnits([0, 0]), [0, 0])
    assert.deepEqual(ringUnits([]), [])
  })

  test('that would need too many points keep their shares, and none is lost', () => {
    const units = ringUnits([1_000_003, 500_001, 1, 0])
    assert.ok(units.reduce((sum, count) => sum + count) <= mostRingUnits)
    assert.ok(Math.abs(units[0]! / units[1]! - 2) < 0.01)
    assert.deepEqual(units.slice(2), [1, 0])
  })

  test('are exact as long as the ring can hold them', () => {
    assert.deepEqual(ringUnits([mostRingUnits - 1, 1]), [mostRingUnits - 1, 1])
  })
})

suite('a change of the ring', () => {
  const keys = Array.from({ length: 20_000 }, (_, n) => `client-${n}`)
  const before = members(Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`10.0.0.${n + 1}:80`, 1])))
  const placements = (list: readonly RingMember[]) => {
    const ring = new HashRing(list)
    return keys.map((key) => placed(ring, list, key))
  }
  const old = placements(before)

  test('moves only the keys of an endpoint that leaves', () => {
    const left = before.filter(({ ringId }) => ringId !== '10.0.0.4:80')
    placements(left).forEach((at, n) => {
      if (old[n] === '10.0.0.4:80') assert.notEqual(at, old[n])
      else assert.equal(at, old[n])
    })
  })

  test('moves keys only to an endpoint that joins, and about its share of them', () => {
    const joined = placements([...before, { ringId: '10.0.0.11:80', weight: 1 }])
    const moved = joined.filter((at, n) => at !== old[n])
    assert.deepEqual(new Set(moved), new Set(['10.0.0.11:80']))
    assert.ok(moved.length > 0.6 * (keys.length / 11) && moved.length < 1.4 * (keys.length / 11))
  })

  test('does not come from the order of the configuration', () => {
    assert.deepEqual(placements(before.toReversed()), old)
  })

  test('gives each endpoint about its weight in keys', () => {
    const list = members({ '10.0.0.1:80': 1, '10.0.0.2:80': 2, '10.0.0.3:80': 5 })
    const ring = new HashRing(list)
    for (const { ringId, weight } of list) {
      const share = keys.filter((key) => placed(ring, list, key) === ringId).length / keys.length
      assert.ok(Math.abs(share - weight / 8) < 0.05, `${ringId} has ${share}`)
    }
  })
})
