import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { suite, type TestContext, test } from 'node:test'
import { openDisk } from './disk.ts'
import { noDisk, Store } from './store.ts'

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-store-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

const contents = (store: Store) =>
  store.all().map(({ kind, id, value, created }) => [kind, id, value, created])

suite('a transaction', () => {
  test('is whole or nothing', async (t) => {
    const store = new Store(noDisk)
    store.begin()
    store.put('routes', 'a', '1', null)
    store.put('routes', 'b', '2', 50)
    await store.commit()
    const before = contents(store)

    store.begin()
    store.put('routes', 'a', '3', null)
    store.remove('routes', 'b')
    store.put('routes', 'c', '4', null)
    store.setFact('f', 'x')
    t.assert.equal(store.nextExpiry(), undefined)
    store.rollback()
    t.assert.deepEqual(contents(store), before)
    t.assert.deepEqual([store.fact('f'), store.revision, store.nextExpiry()], [undefined, 2, 50])
  })

  test('goes back to a mark', async (t) => {
    const store = new Store(noDisk)
    store.begin()
    store.put('routes', 'a', '1', null)
    const mark = store.mark()
    store.put('routes', 'a', '2', null)
    store.put('routes', 'b', '3', null)
    store.backTo(mark)
    await store.commit()
    t.assert.deepEqual(contents(store), [['routes', 'a', '1', 1]])
  })
})

test('a resource keeps its place when it is replaced, and pages follow the places', async (t) => {
  const store = new Store(noDisk)
  store.begin()
  for (const id of ['c', 'a', 'b']) store.put('routes', id, '1', null)
  store.put('routes', 'c', '2', null)
  await store.commit()
  const ids = (resources: { id: string }[]) => resources.map(({ id }) => id).join('')
  t.assert.equal(ids(store.list('routes')), 'abc')
  t.assert.equal(ids(store.page('routes', { number: 1, size: 2 })), 'ca')
  t.assert.equal(ids(store.page('routes', { number: 2, size: 2 })), 'b')
  t.assert.deepEqual([store.get('routes', 'c')!.created, store.get('routes', 'c')!.modified], [1, 4])
})

suite('on a disk', () => {
  test('what was committed is there again, and nobody else may read it', async (t) => {
    const folder = join(await temporaryFolder(t), 'deep', 'data')
    const store = new Store(await openDisk(folder))
    store.begin()
    store.put('routes', 'a', '{"uri":"/a"}', null)
    store.put('routes', 'b', '{"uri":"/b"}', 99)
    await store.commit()
    store.begin()
    store.remove('routes', 'a')
    store.setFact('f', 'x')
    await store.commit()
    const file = await stat(join(folder, 'admin.db'))
    t.assert.deepEqual([file.mode & 0o777, (await stat(folder)).mode & 0o777], [0o600, 0o700])
    await store.close()

    const again = new Store(await openDisk(folder))
    t.assert.deepEqual(contents(again), [['routes', 'b', '{"uri":"/b"}', 2]])
    t.assert.deepEqual([again.fact('f'), again.revision, again.nextExpiry()], ['x', 3, 99])
    await again.close()
  })

  test('what is encrypted is not legible, and is there again with any key of the ring', async (t) => {
    const folder = await temporaryFolder(t)
    const file = join(folder, 'admin.db')
    const secret = 'a-secret-of-somebody'
    const open = async (...keys: string[]) => new Store(await openDisk(folder, { keys, encrypt: true }))
    const [first, second] = ['first-key-of-the-ring', 'second-key-of-the-ring']

    const plain = await open()
    plain.begin()
    plain.put('consumers', 'jack', JSON.stringify({ key: secret }), null)
    await plain.commit()
    await plain.close()
    t.assert.match((await readFile(file)).toString('latin1'), new RegExp(secret))

    // The first key has all of it written anew.
    await (await open(first)).close()
    t.assert.doesNotMatch((await readFile(file)).toString('latin1'), new RegExp(secret))
    const encrypted = await open(first)
    encrypted.begin()
    encrypted.put('routes', 'a', `{"desc":"${secret}"}`, null)
    await encrypted.commit()
    t.assert.doesNotMatch((await readFile(`${file}-wal`)).toString('latin1'), new RegExp(secret))
    await encrypted.close()
    await t.assert.rejects(open(second), /no key of gateway.admin.keyring opens consumers\/jack/)
    await t.assert.rejects(open(), /resources in it are encrypted, and there is no key/)

    const turned = await open(second, first)
    t.assert.equal(turned.get('routes', 'a')!.value, `{"desc":"${secret}"}`)
    await turned.close()
    const alone = await open(second)
    t.assert.equal(alone.get('consumers', 'jack')!.value, JSON.stringify({ key: secret }))
    await alone.close()

    await (await openDisk(folder, { keys: [second], encrypt: false })).close()
    t.assert.match((await readFile(file)).toString('latin1'), new RegExp(secret))
  })

  test('a folder that cannot be used is said', async (t) => {
    const folder = await temporaryFolder(t)
    await writeFile(join(folder, 'file'), '')
    await t.assert.rejects(openDisk(join(folder, 'file', 'data')), /ENOTDIR/)
    await writeFile(join(folder, 'admin.db'), 'this is no database, and long enough not to be an empty one')
    await t.assert.rejects(openDisk(folder), /not a database/)
  })

  test('a file of a later version is left alone', async (t) => {
    const folder = await temporaryFolder(t)
    const database = new DatabaseSync(join(folder, 'admin.db'))
    database.exec('PRAGMA user_version = 7')
    database.close()
    await t.assert.rejects(openDisk(folder), /written by a later version/)
  })
})
