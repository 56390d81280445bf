/** `proxy-cache` through the wire: what the upstream was asked, and what clients got. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { policyGateway, type Received } from '../harness/policy-gateway.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-cache-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** What the upstream does next; by default it answers with a text that counts its answers. */
let behave: ((received: Received, response: ServerResponse) => void) | undefined
let count = 0

const route = (id: string, config: object, more: object = {}) =>
  JSON.stringify({ id, uri: `/${id}*`, upstream_id: 'u', plugins: { 'proxy-cache': config, ...more } })

const memory = { cache_strategy: 'memory', cache_zone: 'memory_cache' }
const disk = { cache_strategy: 'disk', cache_zone: 'files' }

const gateway = policyGateway(
  () => `
gateway:
  workers: 2
  cache:
    zones:
      - { name: memory_cache, size: 4MiB }
      - { name: files, size: 8MiB, path: ${join(folder, 'files')} }
consumers:
  - { username: alice, plugins: { key-auth: { key: key-a } } }
  - { username: bob, plugins: { key-auth: { key: key-b } } }
routes:
  - ${route('mem', memory)}
  - ${route('http', { ...memory, cache_control: true })}
  - ${route('disk', disk)}
  - ${route('post', { ...memory, cache_method: ['GET', 'POST'] })}
  - ${route('own', memory, { 'key-auth': {} })}
  - ${route('shared', { ...memory, consumer_isolation: false }, { 'key-auth': {} })}
  - ${route('open', { ...memory, consumer_isolation: false })}
  - ${route('uri', { ...memory, cache_key: ['$uri'] })}
`,
  (received, response) => {
    count++
    if (behave !== undefined) behave(received, response)
    else response.end(`answer ${count}`)
    return true
  },
)

type Options = Parameters<typeof gateway.send>[1]
async function ask(path: string, options?: Options) {
  const answered = await gateway.send(path, options)
  return { ...answered, cache: answered.headers.get('apisix-cache-status') }
}

/** Sets how the upstream behaves, for the length of one test. */
function upstream(context: { after(fn: () => void): void }, how: NonNullable<typeof behave>) {
  behave = how
  context.after(() => {
    behave = undefined
  })
}

for (const [name, path] of [
  ['memory', '/mem'],
  ['disk', '/disk'],
] as const) {
  suite(`stored in ${name}`, () => {
    test('the second request does not reach the upstream, on whichever thread it is', async () => {
      const first = await ask(`${path}/two`)
      assert.equal(first.cache, 'MISS')
      for (let i = 0; i < 6; i++) {
        const again = await ask(`${path}/two`, { headers: { connection: 'close' } })
        assert.deepEqual([again.cache, again.text, again.seen], ['HIT', first.text, undefined])
        assert.match(again.headers.get('age')!, /^\d+$/)
        assert.equal(again.headers.get('date'), first.headers.get('date'))
      }
    })

    test('a body of megabytes comes back as it was', async (t) => {
      const body = Buffer.alloc(1_500_000, 'sluice ')
      // A quarter of the zone in memory is smaller than that.
      const stored = path === '/mem' ? body.subarray(0, 900_000) : body
      upstream(t, (_, response) => response.end(stored))
      await ask(`${path}/large`)
      const again = await ask(`${path}/large`)
      assert.equal(again.cache, 'HIT')
      assert.equal(again.headers.get('content-length'), String(stored.length))
      assert.ok(Buffer.from(again.text).equals(stored))
    })

    test('a body that broke off is not stored', async (t) => {
      upstream(t, (_, response) => {
        response.writeHead(200, { 'content-length': 1000 })
        response.write('half')
        setImmediate(() => response.destroy())
      })
      await assert.rejects(ask(`${path}/half`))
      behave = undefined
      const whole = await ask(`${path}/half`)
      assert.equal(whole.cache, 'MISS')
      assert.match(whole.text, /^answer/)
    })

    test('purged, it is asked for again; what is not there cannot be purged', async () => {
      await ask(`${path}/purge`)
      assert.equal((await ask(`${path}/purge`, { method: 'PURGE' })).status, 200)
      assert.equal((await ask(`${path}/purge`)).cache, 'MISS')
      assert.equal((await ask(`${path}/never`, { method: 'PURGE' })).status, 404)
    })

    test('a request with an unsafe method that succeeds makes what is stored go', async () => {
      await ask(`${path}/edit`)
      await ask(`${path}/edit`, { method: 'PUT', body: 'new' })
      assert.equal((await ask(`${path}/edit`)).cache, 'MISS')
    })

    test('one that fails leaves it', async (t) => {
      await ask(`${path}/keep`)
      upstream(t, (_, response) => {
        response.statusCode = 409
        response.end()
      })
      await ask(`${path}/keep`, { method: 'PUT', body: 'new' })
      assert.equal((await ask(`${path}/keep`)).cache, 'HIT')
    })

    test('HEAD is answered from GET, and never the other way round', async () => {
      assert.equal((await ask(`${path}/head`, { method: 'HEAD' })).cache, 'MISS')
      assert.equal((await ask(`${path}/head`, { method: 'HEAD' })).cache, 'HIT')
      const got = await ask(`${path}/head`)
      assert.equal(got.cache, 'MISS')
      assert.match(got.text, /^answer/)
      const head = await ask(`${path}/head`, { method: 'HEAD' })
      assert.deepEqual([head.cache, head.headers.get('content-length')], ['HIT', String(got.text.length)])
    })

    test('answers that vary are kept apart by what they vary by', async (t) => {
      upstream(t, ({ headers }, response) => {
        response.setHeader('Vary', 'X-Tenant')
        response.end(`for ${headers['x-tenant']}`)
      })
      const of = (tenant: string) => ask(`${path}/vary`, { headers: { 'x-tenant': tenant } })
      assert.equal((await of('a')).cache, 'MISS')
      assert.equal((await of('b')).cache, 'MISS')
      assert.deepEqual([(await of('a')).text, (await of('b')).text], ['for a', 'for b'])
      assert.equal((await of('a')).cache, 'HIT')
      assert.equal((await ask(`${path}/vary`, { method: 'PURGE' })).status, 200)
      assert.equal((await of('a')).cache, 'MISS')
      assert.equal((await of('b')).cache, 'MISS')
    })

    for (const [field, value] of [
      ['Cache-Control', 'private'],
      ['Cache-Control', 'max-age=60, no-store'],
      ['Cache-Control', 'no-cache="x"'],
      ['Vary', '*'],
      ['Set-Cookie', 'session=1'],
    ] as const) {
      test(`an answer with ${field}: ${value} is not stored`, async (t) => {
        upstream(t, (_, response) => {
          response.setHeader(field, value)
          response.end('mine')
        })
        const target = `${path}/never-${encodeURIComponent(value)}`
        await ask(target)
        assert.equal((await ask(target)).cache, 'MISS')
      })
    }

    test('conditions and ranges are met from the store', async (t) => {
      upstream(t, (_, response) => {
        response.setHeader('ETag', '"v1"')
        response.setHeader('Content-Type', 'text/plain')
        response.end('0123456789')
      })
      const target = `${path}/parts`
      await ask(target)
      const unchanged = await ask(target, { headers: { 'if-none-match': 'W/"v1"' } })
      assert.deepEqual([unchanged.status, unchanged.text, unchanged.cache], [304, '', 'HIT'])
      assert.deepEqual([unchanged.headers.get('etag'), unchanged.headers.get('content-type')], ['"v1"', null])
      const part = await ask(target, { headers: { range: 'bytes=2-4' } })
      assert.deepEqual(
        [part.status, part.text, part.headers.get('content-range')],
        [206, '234', 'bytes 2-4/10'],
      )
      assert.equal((await ask(target, { headers: { range: 'bytes=-3' } })).text, '789')
      const outside = await ask(target, { headers: { range: 'bytes=10-' } })
      assert.deepEqual([outside.status, outside.headers.get('content-range')], [416, 'bytes */10'])
      const other = await ask(target, { headers: { range: 'bytes=2-4', 'if-range': '"v0"' } })
      assert.deepEqual([other.status, other.text], [200, '0123456789'])
    })
  })
}

suite('who may see what is stored', () => {
  test('consumers have their own answers, unless they are to share them', async () => {
    const as = (path: string, apikey: string) => ask(path, { headers: { apikey } })
    assert.deepEqual(
      [(await as('/own/a', 'key-a')).cache, (await as('/own/a', 'key-b')).cache],
      ['MISS', 'MISS'],
    )
    assert.equal((await as('/own/a', 'key-a')).cache, 'HIT')
    assert.equal((await as('/own/a', 'wrong')).status, 401)
    assert.equal((await as('/shared/a', 'key-a')).cache, 'MISS')
    assert.equal((await as('/shared/a', 'key-b')).cache, 'HIT')
  })

  test('the name in a request that nobody checked opens nothing', async () => {
    const as = (password: string) =>
      ask('/mem/basic', { headers: { authorization: `Basic ${btoa(`alice:${password}`)}` } })
    await as('right')
    assert.equal((await as('wrong')).cache, 'MISS')
    assert.equal((await as('right')).cache, 'HIT')
    assert.equal((await ask('/mem/basic')).cache, 'MISS')
  })

  test('an answer to Authorization is shared only where it says so (RFC 9111, section 3.5)', async (t) => {
    const headers = { authorization: 'Bearer x' }
    await ask('/open/a', { headers })
    assert.equal((await ask('/open/a')).cache, 'MISS')
    upstream(t, (_, response) => {
      response.setHeader('Cache-Control', 'public')
      response.end('for all')
    })
    await ask('/open/b', { headers })
    assert.equal((await ask('/open/b')).cache, 'HIT')
  })

  test('hosts have their own answers, also with a key that does not name them', async () => {
    await ask('/uri/a', { headers: { host: 'one.example' } })
    assert.equal((await ask('/uri/a', { headers: { host: 'two.example' } })).cache, 'MISS')
    assert.equal((await ask('/uri/a', { headers: { host: 'one.example' } })).cache, 'HIT')
  })

  test('what is stored for POST belongs to its body', async () => {
    const post = (body: string) => ask('/post/a', { method: 'POST', body })
    await post('one')
    assert.equal((await post('two')).cache, 'MISS')
    assert.equal((await post('one')).cache, 'HIT')
    assert.equal((await ask('/post/a')).cache, 'MISS')
  })
})

suite('as HTTP has it', () => {
  test('a stale answer is revalidated, and is as good as new', async (t) => {
    upstream(t, ({ headers }, response) => {
      response.setHeader('Cache-Control', 'max-age=1')
      response.setHeader('ETag', '"v1"')
      if (headers['if-none-match'] === '"v1"') response.statusCode = 304
      response.end(response.statusCode === 304 ? undefined : 'unchanged')
    })
    await ask('/http/valid')
    const stale = await ask('/http/valid', { headers: { 'cache-control': 'min-fresh=5' } })
    assert.equal(stale.seen?.headers['if-none-match'], '"v1"')
    assert.deepEqual([stale.status, stale.text, stale.cache], [200, 'unchanged', 'REVALIDATED'])
  })

  test('a stale answer stands in for an upstream that fails, where it says so', async (t) => {
    upstream(t, (_, response) => {
      response.setHeader('Cache-Control', 'max-age=60, stale-if-error=600')
      response.setHeader('ETag', '"v1"')
      response.end('good')
    })
    const strict = { headers: { 'cache-control': 'max-age=0' } }
    await ask('/http/error')
    behave = (_, response) => {
      response.statusCode = 503
      response.end('bad')
    }
    assert.deepEqual(
      await ask('/http/error', strict).then(({ status, text, cache }) => [status, text, cache]),
      [200, 'good', 'STALE'],
    )
    behave = (_, response) => response.socket!.end('HTTP/1.1 2')
    assert.deepEqual(
      await ask('/http/error', strict).then(({ status, text, cache }) => [status, text, cache]),
      [200, 'good', 'STALE'],
    )
  })

  test('only-if-cached asks nobody', async () => {
    const answered = await ask('/http/only', { headers: { 'cache-control': 'only-if-cached' } })
    assert.deepEqual([answered.status, answered.seen], [504, undefined])
  })

  test('an answer that says nothing of its life is not stored', async () => {
    await ask('/http/silent')
    assert.equal((await ask('/http/silent')).cache, 'MISS')
  })
})

test('requests for the same wait for the one that asks', async (t) => {
  const answers: ServerResponse[] = []
  upstream(t, (_, response) => answers.push(response))
  const before = gateway.received.length
  // One connection is one thread: requests on it would come one after another.
  const sockets = await Promise.all(Array.from({ length: 8 }, () => open()))
  for (const socket of sockets)
    socket.write('GET /mem/crowd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  const texts = sockets.map((socket) => socket.text)
  const timer = setInterval(() => {
    for (const response of answers.splice(0)) response.end('once')
  }, 200)
  t.after(() => clearInterval(timer))
  for (const text of await Promise.all(texts)) assert.match(text, /\r\n\r\n(4\r\n)?once/)
  // At most one from each of the two threads.
  assert.ok(gateway.received.length - before <= 2, `${gateway.received.length - before} requests`)
})

async function open(): Promise<net.Socket & { text: Promise<string> }> {
  const socket = net.connect(gateway.port, '127.0.0.1') as net.Socket & { text: Promise<string> }
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.text = new Promise((resolve, reject) => {
    let text = ''
    socket.setEncoding('latin1')
    socket.on('data', (piece) => {
      text += piece
    })
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
  })
  return socket
}
