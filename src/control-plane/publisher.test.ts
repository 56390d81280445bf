import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { canonicalJson, type Delegation, readBundle, sha256 } from '../config-sync/protocol/index.ts'
import { Database } from './database.ts'
import { preparedHere } from './preparation.ts'
import { Publisher } from './publisher.ts'
import { Seal } from './seal.ts'

const held = (digest: string) => ({ version: 1, sha256: digest, issued: 0 })

test('whatever gateways say that they have, no more bundles are kept than were published', async () => {
  const database = new Database(':memory:', new Seal(Seal.newKey()))
  const publisher = new Publisher({
    database,
    group: 'default',
    signing: generateKeyPairSync('ed25519').privateKey,
    delegation: 'document of keys',
    ownKeys: { version: 1, keys: [] } as unknown as Delegation,
    preparation: preparedHere(new Map(), '0'),
    now: () => 7,
  })
  const publish = (version: number, text: string) =>
    publisher.publish({ text, sha256: sha256(text) }, { version, author: 'a', message: '' })
  publish(1, canonicalJson({ resources: {} }))
  publish(2, canonicalJson({ resources: { routes: [] } }))
  const invented = await publisher.bundle(held('0'.repeat(64)), false)
  assert.equal(await publisher.bundle(held('1'.repeat(64)), false), invented)
  assert.equal(await publisher.bundle(undefined, false), invented)
  assert.equal(await publisher.bundle(held(publisher.current!.sha256), true), invented)
  const { sha256: digest } = publisher.current!
  assert.equal(readBundle((await publisher.bundle(held(digest), false))!).content.length, 0)
  database.close()
})
