import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConsumerSpec } from '../../config/plan.ts'
import { ConsumerDirectory } from './consumers.ts'
import { CredentialIndex } from './credentials.ts'

type Key = { key?: string }
const keyOf = ({ key }: Key) => key

function consumer(username: string, key: string, meta?: { disable: boolean }): [string, ConsumerSpec] {
  const plugin = meta ? { key, _meta: meta } : { key }
  return [username, { username, plugins: { p: plugin }, credentials: [] }]
}

function indexOf(consumers: Map<string, ConsumerSpec>): CredentialIndex<Key> {
  return new CredentialIndex('p', keyOf, new ConsumerDirectory(() => consumers))
}

test('finds each of many keys and no other', () => {
  const many = Array.from({ length: 2000 }, (_, i) => consumer(`c${i}`, `key-${i}`))
  const index = indexOf(new Map(many))
  for (const [username, { plugins }] of many) {
    assert.equal(index.find(plugins!.p!.key as string)?.consumer.username, username)
  }
  for (const stranger of ['', 'key-', 'key-2000', 'KEY-1', 'key-1 '])
    assert.equal(index.find(stranger), undefined)
})

test('finds keys of the consumer and of its credentials', () => {
  const [username, spec] = consumer('jack', 'one')
  spec.credentials.push(
    { id: 'phone', plugins: { p: { key: 'two' } } },
    { id: 'other', plugins: { q: { key: 'x' } } },
  )
  const index = indexOf(new Map([[username, spec]]))
  assert.equal(index.find('one')?.credentialId, '')
  assert.equal(index.find('two')?.credentialId, 'phone')
  assert.deepEqual(index.find('two')?.config, { key: 'two' })
  assert.equal(index.find('x'), undefined)
})

test('a credential that is switched off, or has no key, is not found', () => {
  const off = consumer('off', 'secret', { disable: true })
  const keyless: [string, ConsumerSpec] = ['none', { username: 'none', plugins: { p: {} }, credentials: [] }]
  const index = indexOf(new Map([off, keyless]))
  assert.equal(index.find('secret'), undefined)
  assert.equal(index.find('undefined'), undefined)
})

test('of two consumers with one key the first keeps it', () => {
  const index = indexOf(new Map([consumer('a', 'same'), consumer('b', 'same')]))
  assert.equal(index.find('same')?.consumer.username, 'a')
})

test('changes count from the next lookup after invalidate; unchanged consumers stay the same objects', () => {
  const consumers = new Map([consumer('a', 'one'), consumer('b', 'two')])
  const index = indexOf(consumers)
  const before = index.find('two')?.consumer
  consumers.delete('a')
  consumers.set(...consumer('c', 'three'))
  index.invalidate()
  assert.equal(index.find('one'), undefined)
  assert.equal(index.find('three')?.consumer.username, 'c')
  assert.equal(index.find('two')?.consumer, before)
})

test('consumers that changed are read again, and no others', () => {
  const many = Array.from({ length: 500 }, (_, i) => consumer(`c${i}`, `key-${i}`))
  const consumers = new Map([...many, consumer('twin', 'key-7')])
  const index = indexOf(consumers)
  assert.equal(index.find('key-7')?.consumer.username, 'c7')
  const read: string[] = []
  const watched = (username: string, key: string) => {
    const [, spec] = consumer(username, key)
    consumers.set(username, {
      ...spec,
      get plugins() {
        read.push(username)
        return spec.plugins
      },
    } as ConsumerSpec)
  }
  for (const [username] of many) watched(username, `new-${username}`)
  index.invalidate(['c7', 'c8'])
  assert.equal(index.find('new-c7')?.consumer.username, 'c7')
  assert.equal(index.find('new-c8')?.consumer.username, 'c8')
  assert.equal(index.find('key-7')?.consumer.username, 'twin')
  assert.equal(index.find('key-8'), undefined)
  assert.equal(index.find('key-9')?.consumer.username, 'c9')
  assert.deepEqual([...new Set(read)], ['c7', 'c8'])

  consumers.delete('c9')
  index.invalidate(['c9', 'stranger'])
  assert.equal(index.find('key-9'), undefined)
  index.invalidate()
  for (const [username] of many) {
    assert.equal(index.find(`new-${username}`)?.consumer.username, username === 'c9' ? undefined : username)
  }
})

test('a credential that is switched off, or lacks its secret, identifies nobody', () => {
  const missing: ConsumerSpec = {
    username: 'a',
    plugins: { p: { key: 'one', _meta: { secrets: 'missing' } } },
    credentials: [{ id: 'off', plugins: { p: { key: 'two', _meta: { disable: true } } } }],
  }
  const present: ConsumerSpec = {
    username: 'b',
    plugins: { p: { key: 'three', _meta: { secrets: 'present' } } },
    credentials: [],
  }
  const index = indexOf(new Map([missing, present].map((spec) => [spec.username, spec])))
  assert.equal(index.find('one'), undefined)
  assert.equal(index.find('two'), undefined)
  assert.equal(index.find('three')?.consumer.username, 'b')
})

test('keys are compared as bytes of UTF-8', () => {
  const index = indexOf(new Map([consumer('a', 'schlüssel')]))
  assert.ok(index.find(Buffer.from('schlüssel').toString('latin1')))
  assert.equal(index.find('schlüssel'), undefined)
})
