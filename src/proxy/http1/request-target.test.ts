import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { PathRules } from '../target.ts'
import type { Head } from './head.ts'
import { RequestTarget } from './request-target.ts'

const strict: PathRules = {
  encoded_slash: 'reject',
  encoded_backslash: 'reject',
  encoded_nul: 'reject',
  backslash: 'reject',
  repeated_slashes: 'merge',
  parameters: 'check',
  trailing_slash: 'keep',
}

/** What routes and policies see, what the upstream gets; null where the target is refused. */
function read(target: string, rules: Partial<PathRules> = {}, prefix = ''): [string, string | null] | null {
  const reader = new RequestTarget()
  const head = { target, method: 'GET', pathNeedsWork: true, hostField: -1 } as Head
  const all = { ...strict, ...rules }
  return reader.read(head, all) === null ? [reader.path, reader.forUpstream(prefix, all)] : null
}

suite('the target of a request', () => {
  test('goes to the upstream as it was judged', () => {
    assert.deepEqual(read('/a/b?x=%20'), ['/a/b', '/a/b?x=%20'])
    assert.deepEqual(read('/a//b/./c?x'), ['/a/b/c', '/a/b/c?x'])
    assert.deepEqual(read('/api/b', {}, '/api'), ['/api/b', '/b'])
  })

  test('is compared without escapes that mean nothing, and goes on with them', () => {
    assert.deepEqual(read('/docs%3adelete'), ['/docs:delete', '/docs%3Adelete'])
    assert.deepEqual(read('/a%2Bb//%40x'), ['/a+b/@x', '/a%2Bb/%40x'])
    assert.deepEqual(read('/%7Bid%7D/%22'), ['/{id}/"', '/%7Bid%7D/%22'])
    assert.deepEqual(read('/a%20b%25%3F%23%C3%A9'), ['/a%20b%25%3F%23%C3%A9', '/a%20b%25%3F%23%C3%A9'])
    assert.deepEqual(read('/a%3Ab', { parameters: 'keep' }), ['/a:b', '/a%3Ab'])
  })

  test('may leave its last slash to the upstream', () => {
    const ignored = { trailing_slash: 'ignore' } as const
    assert.deepEqual(read('/a/?x', ignored), ['/a', '/a/?x'])
    assert.deepEqual(read('/a//', ignored), ['/a', '/a/'])
    assert.deepEqual(read('/', ignored), ['/', '/'])
    assert.deepEqual(read('/a', ignored), ['/a', '/a'])
    assert.deepEqual(read('/api/b/', ignored, '/api'), ['/api/b', '/b/'])
  })

  test('may leave parameters of its segments to the upstream', () => {
    const ignored = { parameters: 'ignore' } as const
    assert.deepEqual(read('/a;x=1/b;y?z', ignored), ['/a/b', '/a;x=1/b;y?z'])
    assert.deepEqual(read('/a/b/;', ignored), ['/a/b/', '/a/b/;'])
    assert.deepEqual(read('/%61;x', ignored), ['/a', '/a;x'])
    // What a servlet container would read as another path (CVE-2020-5902, and the evasions that APISIX refuses).
    for (const evasion of ['/a/..;x/b', '/a/.;/b', '/a/;x/b', '/a/%2e%2e;/b', '/..%3b/b', '/a/..;']) {
      assert.equal(read(evasion, ignored), null, evasion)
    }
  })

  test('may hold an escaped slash, as a part of its segment or as a slash', () => {
    assert.equal(read('/a%2Fb'), null)
    assert.deepEqual(read('/a%2fb', { encoded_slash: 'keep' }), ['/a%2Fb', '/a%2Fb'])
    assert.deepEqual(read('/a%2fb/%2e%2e', { encoded_slash: 'decode' }), ['/a/', '/a/'])
    assert.deepEqual(read('/a/..%2fb', { encoded_slash: 'decode' }), ['/b', '/b'])
    assert.deepEqual(read('/a%2F%2fb', { encoded_slash: 'decode' }), ['/a/b', '/a/b'])
  })
})
