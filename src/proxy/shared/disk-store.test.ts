import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createDiskCounts, DiskStore } from './disk-store.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-disk-'))
after(() => rmSync(folder, { recursive: true }))

const digest = (name: string) => createHash('sha256').update(name).digest()
const warned: string[] = []
const events = { warn: (_: object, message: string) => warned.push(message) }
let zones = 0

function open(size = 1024 * 1024, path = join(folder, `zone-${zones++}`)) {
  return { path, store: new DiskStore({ path, size, levels: [1, 2] }, createDiskCounts(), 1, events) }
}

function put(store: DiskStore, name: string, body: Buffer | string, meta = `meta of ${name}`) {
  const writer = store.begin()!
  for (const piece of [Buffer.from(body)]) writer.write(piece)
  assert.equal(writer.commit(digest(name), meta), true)
}

function bodyOf(store: DiskStore, name: string): string | undefined {
  const entry = store.get(digest(name))
  const body = entry?.read(0, entry.length).toString('latin1')
  entry?.close()
  return body
}

const filesOf = (path: string) =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

test('an entry outlives its process, in the folders that nginx would use', () => {
  const { path, store } = open()
  put(store, 'a', 'small', 'known')
  const name = digest('a').toString('hex')
  assert.deepEqual(filesOf(path), [join(path, name.slice(-1), name.slice(-3, -1), name)])
  const { store: later } = open(undefined, path)
  assert.equal(later.get(digest('a'))?.meta, 'known')
  assert.equal(bodyOf(later, 'a'), 'small')
  assert.equal(later.remove(digest('a')), true)
  assert.equal(later.get(digest('a')), null)
  assert.equal(later.remove(digest('a')), false)
})

test('a large body is read in pieces, an empty one is an entry too', () => {
  const { store } = open()
  const large = Buffer.alloc(200_000, 'large ')
  const writer = store.begin()!
  for (let from = 0; from < large.length; from += 7000) writer.write(large.subarray(from, from + 7000))
  writer.commit(digest('l'), 'm')
  const entry = store.get(digest('l'))!
  const pieces: Buffer[] = []
  for (let from = 0; from < entry.length; from += 65536)
    pieces.push(entry.read(from, Math.min(entry.length, from + 65536)))
  entry.close()
  assert.ok(Buffer.concat(pieces).equals(large))
  put(store, 'e', '')
  assert.equal(bodyOf(store, 'e'), '')
})

test('nothing is seen of an entry that was not committed', () => {
  const { path, store } = open()
  const writer = store.begin()!
  writer.write(Buffer.from('half'))
  writer.abort()
  assert.deepEqual(filesOf(path), [])
})

for (const [name, body] of [
  ['small', Buffer.alloc(100, 'x')],
  ['large', Buffer.alloc(300_000, 'x')],
] as const) {
  test(`a damaged entry with a ${name} body is not served as if it were whole, and goes`, () => {
    const { path, store } = open(4 * 1024 * 1024)
    put(store, 'd', body)
    const [file] = filesOf(path)
    const bytes = readFileSync(file!)
    bytes[bytes.length - 50]! ^= 1
    writeFileSync(file!, bytes)
    const entry = store.get(digest('d'))
    if (entry !== null) assert.throws(() => entry.read(0, entry.length), /damaged/)
    assert.deepEqual(filesOf(path), [])
  })
}

test('a file that was cut or is of somebody else is no entry', () => {
  const { path, store } = open()
  put(store, 'c', 'complete')
  const [file] = filesOf(path)
  writeFileSync(file!, readFileSync(file!).subarray(0, 40))
  assert.equal(store.get(digest('c')), null)
  put(store, 'c', 'complete')
  put(store, 'other', 'other')
  const other = filesOf(path).find((found) => found.endsWith(digest('other').toString('hex')))!
  writeFileSync(file!, readFileSync(other))
  assert.equal(store.get(digest('c')), null)
})

test('what is known about an entry is changed in place, unless another one took that', () => {
  const { store } = open()
  put(store, 'm', 'body', 'before')
  const entry = store.get(digest('m'))!
  store.setMeta(digest('m'), 'after and longer', entry)
  assert.equal(store.get(digest('m'))?.meta, 'after and longer')
  assert.equal(bodyOf(store, 'm'), 'body')
  put(store, 'm', 'newer', 'newer')
  store.setMeta(digest('m'), 'too late', entry)
  assert.equal(store.get(digest('m'))?.meta, 'newer')
})

test('beyond its size, a zone loses what was not used for the longest time', async () => {
  const { path, store } = open(100 * 1024)
  for (let i = 0; i < 9; i++) {
    put(store, `k${i}`, Buffer.alloc(9 * 1024))
    const file = filesOf(path).find((found) => found.endsWith(digest(`k${i}`).toString('hex')))!
    utimesSync(file, i + 1, i + 1)
  }
  store.get(digest('k0'))?.close()
  put(store, 'last', Buffer.alloc(24 * 1024))
  await store.cleaning
  assert.ok(store.get(digest('k0')), 'used a moment ago')
  assert.ok(store.get(digest('last')))
  assert.equal(store.get(digest('k1')), null)
})

test('files that an earlier process left unfinished are removed', async () => {
  const { path } = open()
  writeFileSync(join(path, '1-1-0.tmp'), 'half')
  const { store } = open(undefined, path)
  await store.cleaning
  assert.deepEqual(filesOf(path), [])
})

test('a folder that others may write to is refused', () => {
  const { path } = open()
  chmodSync(path, 0o777)
  assert.throws(() => open(undefined, path), /others can write/)
})
