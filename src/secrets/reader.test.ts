import assert from 'node:assert/strict'
import net from 'node:net'
import { suite, test } from 'node:test'
import { startFakeManager } from '../../test/harness/fake-manager.ts'
import { SecretReader } from './reader.ts'

const env = { NAME: 'value', JSON: '{"key":"inner"}' }

function setUp(address: string) {
  const time = { now: 1_000_000 }
  const reader = new SecretReader({ env, cwd: '/', now: () => time.now })
  const managers = new Map([['vault/1', { id: 'vault/1', uri: address, prefix: 'kv', token: 'x' }]])
  return {
    time,
    reader,
    managers,
    read: (key: string, fresh = false) => reader.resolve(`$secret://vault/1/${key}`, managers, fresh),
  }
}

const reason = (resolution: object) => (resolution as { failure: Error }).failure.message

suite('reading', () => {
  test('the environment needs no manager', async () => {
    const { reader } = setUp('http://127.0.0.1:1')
    const none = new Map()
    assert.deepEqual(await reader.resolve('$env://NAME', none), { value: 'value' })
    assert.deepEqual(await reader.resolve('$ENV://JSON/key', none), { value: 'inner' })
    assert.equal(
      reason(await reader.resolve('$env://NONE', none)),
      'the environment variable NONE is not set',
    )
    assert.equal(
      reason(await reader.resolve('$env://NAME/key', none)),
      'the environment variable NAME is not JSON with that key',
    )
    assert.equal(
      reason(await reader.resolve('$secret://vault/9/a/b', none)),
      'there is no secret manager vault/9',
    )
    assert.match(reason(await reader.resolve('$secret://vault', none)), /^it must have the form/)
  })

  test('several members of one secret, and several askers, are one request', async (t) => {
    const vault = await startFakeManager(t, () => ({ status: 200, body: { data: { a: '1', b: '2' } } }))
    const { read } = setUp(vault.address)
    assert.deepEqual(await Promise.all([read('jack/a'), read('jack/b'), read('jack/a', true)]), [
      { value: '1' },
      { value: '2' },
      { value: '1' },
    ])
    assert.equal(vault.asked.length, 1)
  })

  test('what was read a moment ago is not asked for again, unless it has to be fresh', async (t) => {
    const vault = await startFakeManager(t, () => ({ status: 200, body: { data: { a: '1' } } }))
    const { read, time } = setUp(vault.address)
    await read('jack/a')
    await read('jack/a')
    assert.equal(vault.asked.length, 1)
    await read('jack/a', true)
    assert.equal(vault.asked.length, 2)
    time.now += 10_000
    await read('jack/a')
    assert.equal(vault.asked.length, 3)
  })

  test('another address or token is another manager', async (t) => {
    const vault = await startFakeManager(t, ({ headers }) => ({
      status: 200,
      body: { data: { a: headers['x-vault-token'] } },
    }))
    const { reader, managers } = setUp(vault.address)
    const text = '$secret://vault/1/jack/a'
    assert.deepEqual(await reader.resolve(text, managers), { value: 'x' })
    const other = new Map([['vault/1', { ...managers.get('vault/1')!, token: 'y' }]])
    assert.deepEqual(await reader.resolve(text, other), { value: 'y' })
    reader.retain(managers)
    assert.deepEqual(await reader.resolve(text, managers), { value: 'x' })
    assert.equal(vault.asked.length, 2)
    await reader.resolve(text, other)
    assert.equal(vault.asked.length, 3)
  })

  test('a manager that cannot be reached is left alone for a moment', async (t) => {
    let calls = 0
    const broken = net.createServer((socket) => {
      calls++
      socket.destroy()
    })
    await new Promise<void>((resolve) => broken.listen(0, '127.0.0.1', resolve))
    t.after(() => broken.close())
    const { read, time } = setUp(`http://127.0.0.1:${(broken.address() as net.AddressInfo).port}`)
    const first = reason(await read('one/a'))
    assert.match(first, /cannot be reached/)
    assert.equal(reason(await read('two/a')), first)
    assert.equal(calls, 1)
    time.now += 1000
    await read('two/a')
    assert.equal(calls, 2)
  })

  test('of many secrets few are asked for at a time', async (t) => {
    let open = 0
    let most = 0
    const vault = await startFakeManager(t, () => ({ status: 200, body: { data: { a: '1' } } }))
    const { answer } = vault
    vault.answer = (asked) => {
      most = Math.max(most, ++open)
      setImmediate(() => open--)
      return answer(asked)
    }
    const { reader, managers } = setUp(vault.address)
    const references = Array.from({ length: 100 }, (_, n) => ({ text: `$secret://vault/1/s${n}/a` }))
    const known: string[] = []
    await reader.resolveAll(references, managers, ({ text }) => known.push(text))
    assert.equal(new Set(known).size, 100)
    assert.equal(vault.asked.length, 100)
    assert.ok(most <= 16, `${most} at a time`)
  })
})
