import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { pathParameters } from './pattern.ts'
import { type RouteConditions, Router, type RouterMode } from './router.ts'

type Seen = { field?: string; beta?: boolean }

/** A table of routes written as `id: pattern`, with what they need beyond it. */
function table(
  routes: Record<string, Partial<RouteConditions<Seen>> & { uris: string[] }>,
  mode: RouterMode = 'radixtree_host_uri',
) {
  const router = new Router<string, Seen>(mode, (x) => x.field)
  for (const [id, route] of Object.entries(routes)) {
    router.put({ id, hosts: [], methods: [], priority: 0, ...route }, id)
  }
  return {
    router,
    find: (host: string, path: string, method = 'GET', x: Seen = {}) =>
      router.match(host, path, method, x)?.value ?? null,
  }
}

suite('paths', () => {
  test('an exact path wins over every prefix, a longer prefix over a shorter one', () => {
    const { find } = table({
      all: { uris: ['/*'], priority: 100 },
      users: { uris: ['/users/*'] },
      me: { uris: ['/users/me'] },
    })
    assert.equal(find('a', '/users/me'), 'me')
    assert.equal(find('a', '/users/me/x'), 'users')
    assert.equal(find('a', '/users/'), 'users')
    assert.equal(find('a', '/users'), 'all')
    assert.equal(find('a', '/'), 'all')
  })

  test('a prefix without a slash in front of the star matches in the middle of a segment and by itself', () => {
    const { find } = table({ a: { uris: ['/a*'] } })
    assert.equal(find('h', '/a'), 'a')
    assert.equal(find('h', '/abc/d'), 'a')
    assert.equal(find('h', '/b'), null)
  })

  test('a star in the middle stands for anything, slashes included', () => {
    const { find } = table({ edit: { uris: ['/docs/*/edit'] }, docs: { uris: ['/docs/*'], priority: -1 } })
    assert.equal(find('h', '/docs/1/edit'), 'edit')
    assert.equal(find('h', '/docs/1/edit/2/edit'), 'edit')
    assert.equal(find('h', '/docs/1/edited'), 'docs')
    assert.equal(find('h', '/docs/edit'), 'docs')
  })

  test('in the plain modes a colon is a character like any other', () => {
    const { find } = table({ x: { uris: ['/user/:name'] } })
    assert.equal(find('h', '/user/:name'), 'x')
    assert.equal(find('h', '/user/jo'), null)
  })

  test('patterns are compared in canonical form', () => {
    const { find } = table({
      space: { uris: ['/a b'] },
      umlaut: { uris: ['/ü/*'] },
      lower: { uris: ['/%7Ex/%2f'] },
    })
    assert.equal(find('h', '/a%20b'), 'space')
    assert.equal(find('h', '/%C3%BC/1'), 'umlaut')
    assert.equal(find('h', '/~x/%2F'), 'lower')
  })

  test('reports the pattern as it was configured', () => {
    const { router } = table({ a: { uris: ['/x y/*'], hosts: ['*.foo.com'] } })
    const match = router.match('www.foo.com', '/x%20y/1', 'GET', {})
    assert.equal(match?.uri, '/x y/*')
    assert.equal(match?.host, '*.foo.com')
  })
})

suite('conditions', () => {
  test('priority orders routes of one path only', () => {
    const { find } = table({
      low: { uris: ['/a/*'], priority: 1 },
      high: { uris: ['/a/*'], priority: 2 },
      shorter: { uris: ['/*'], priority: 1000 },
    })
    assert.equal(find('h', '/a/1'), 'high')
  })

  test('with equal priority the longer pattern wins, then the one that came first', () => {
    const { find } = table({
      first: { uris: ['/a/*'] },
      second: { uris: ['/a/*'] },
      longer: { uris: ['/a/*/b'] },
    })
    assert.equal(find('h', '/a/x/b'), 'longer')
    assert.equal(find('h', '/a/x'), 'first')
  })

  test('a path whose routes all fail falls through to shorter prefixes, less specific hosts and no host', () => {
    const { find } = table({
      exact: { uris: ['/a/b'], hosts: ['x.foo.com'], methods: ['PUT'] },
      prefix: { uris: ['/a/*'], hosts: ['x.foo.com'], methods: ['POST'] },
      near: { uris: ['/*'], hosts: ['*.foo.com'], methods: ['DELETE'] },
      far: { uris: ['/*'], hosts: ['*.com'], accepts: (x) => x.beta === true },
      none: { uris: ['/a/b'] },
    })
    const at = (method: string, x: Seen = {}) => find('x.foo.com', '/a/b', method, x)
    assert.equal(at('PUT'), 'exact')
    assert.equal(at('POST'), 'prefix')
    assert.equal(at('DELETE'), 'near')
    assert.equal(at('GET', { beta: true }), 'far')
    assert.equal(at('GET'), 'none')
  })

  test('tells which methods would have matched', () => {
    const { router } = table({
      a: { uris: ['/a'], methods: ['GET', 'HEAD'] },
      b: { uris: ['/a*'], methods: ['PUT'], accepts: (x) => x.beta === true },
    })
    assert.equal(router.match('h', '/a', 'POST', {}), null)
    assert.deepEqual(router.allowedMethods('h', '/a', {}), ['GET', 'HEAD'])
    assert.deepEqual(router.allowedMethods('h', '/a', { beta: true }), ['GET', 'PUT', 'HEAD'])
    assert.deepEqual(router.allowedMethods('h', '/other', {}), [])
  })
})

suite('hosts', () => {
  test('an exact host with any path wins over an exact path without host', () => {
    const { find } = table({
      host: { uris: ['/*'], hosts: ['foo.com'] },
      path: { uris: ['/a'], priority: 9 },
    })
    assert.equal(find('foo.com', '/a'), 'host')
    assert.equal(find('bar.com', '/a'), 'path')
  })

  test('exact before wildcards, the longest wildcard first', () => {
    const { find } = table({
      sub: { uris: ['/*'], hosts: ['*.api.foo.com'] },
      dot: { uris: ['/*'], hosts: ['*.foo.com'] },
      bare: { uris: ['/*'], hosts: ['*foo.com'] },
      exact: { uris: ['/*'], hosts: ['w.foo.com'] },
    })
    assert.equal(find('w.foo.com', '/'), 'exact')
    assert.equal(find('x.foo.com', '/'), 'dot')
    assert.equal(find('a.b.api.foo.com', '/'), 'sub')
    assert.equal(find('foo.com', '/'), 'bare')
    assert.equal(find('barfoo.com', '/'), 'bare')
    assert.equal(find('foo.org', '/'), null)
  })

  test('as a condition, hosts are looked at after the path, and one with a port sees the whole field', () => {
    const { find } = table(
      {
        host: { uris: ['/*'], hosts: ['foo.com', '*.bar.com'] },
        port: { uris: ['/p'], hosts: ['foo.com:9080'] },
        path: { uris: ['/a'] },
      },
      'radixtree_uri',
    )
    assert.equal(find('foo.com', '/a'), 'path')
    assert.equal(find('x.bar.com', '/b'), 'host')
    assert.equal(find('bar.com', '/b'), null)
    assert.equal(find('foo.com', '/p', 'GET', { field: 'Foo.com:9080' }), 'port')
    assert.equal(find('foo.com', '/p', 'GET', { field: 'foo.com' }), 'host')
  })
})

suite('parameters', () => {
  const routes = {
    user: { uris: ['/user/:id'] },
    post: { uris: ['/user/:id/posts/:post'] },
    files: { uris: ['/files/*path'] },
    me: { uris: ['/user/me'] },
  }
  const { find } = table(routes, 'radixtree_uri_with_parameter')

  test('a parameter is one segment that is not empty', () => {
    assert.equal(find('h', '/user/1'), 'user')
    assert.equal(find('h', '/user/me'), 'me')
    assert.equal(find('h', '/user/'), null)
    assert.equal(find('h', '/user/1/'), null)
    assert.equal(find('h', '/user/1/posts/2'), 'post')
    assert.equal(find('h', '/user//posts/2'), null)
  })

  test('a segment that begins with a colon is one, whatever follows', () => {
    const odd = table({ odd: { uris: ['/a/:user-id/:b.c/:'] } }, 'radixtree_uri_with_parameter')
    assert.equal(odd.find('h', '/a/1/2/3'), 'odd')
    assert.equal(odd.find('h', '/a/1/2/'), null)
  })

  test('are read from the path', () => {
    const read = (pattern: string, path: string, parameters = true) =>
      pathParameters(pattern, parameters)(path)
    assert.deepEqual(read('/user/:id/posts/:post', '/user/1/posts/%20'), { id: '1', post: '%20' })
    assert.deepEqual(read('/files/*path', '/files/a/b'), { path: 'a/b' })
    assert.deepEqual(read('/files/*', '/files/a/b'), { ':ext': 'a/b' })
    assert.deepEqual(read('/a*/:b', '/ax/y'), { b: 'y' })
    assert.deepEqual(read('/user/:id/*', '/user/:id/x', false), { ':ext': 'x' })
    assert.deepEqual(read('/user/me', '/user/me'), {})
    assert.deepEqual(read('/user*', '/users'), {})
  })
})

test('a pattern is compared without escapes that mean nothing', () => {
  const { find } = table(
    { encoded: { uris: ['/docs%3Adelete'] }, star: { uris: ['/%2A/%3Aid'] }, plain: { uris: ['/a{b'] } },
    'radixtree_uri_with_parameter',
  )
  assert.equal(find('h', '/docs:delete'), 'encoded')
  assert.equal(find('h', '/*/:id'), 'star')
  assert.equal(find('h', '/x/y'), null)
  assert.equal(find('h', '/a{b'), 'plain')
})

suite('changes', () => {
  test('a replaced route keeps its place among equals, and its old paths are gone', () => {
    const { router, find } = table({ a: { uris: ['/x', '/y'] }, b: { uris: ['/x'] } })
    router.put({ id: 'a', uris: ['/x', '/z'], hosts: [], methods: [], priority: 0 }, 'a2')
    assert.equal(find('h', '/x'), 'a2')
    assert.equal(find('h', '/y'), null)
    assert.equal(find('h', '/z'), 'a2')
  })

  test('a removed route gives way to the next', () => {
    const { router, find } = table({ a: { uris: ['/x'], hosts: ['foo.com'] }, b: { uris: ['/*'] } })
    router.remove('a')
    assert.equal(find('foo.com', '/x'), 'b')
    assert.equal(router.size, 1)
    router.remove('never')
  })
})
