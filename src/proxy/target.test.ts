import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import {
  canonicalPath,
  canonicalPattern,
  type PathRules,
  parseHost,
  readTarget,
  splitAbsoluteTarget,
  stripPrefix,
  withoutPrefix,
} from './target.ts'

const strict: PathRules = {
  encoded_slash: 'reject',
  encoded_backslash: 'reject',
  encoded_nul: 'reject',
  backslash: 'reject',
  repeated_slashes: 'merge',
  parameters: 'check',
  trailing_slash: 'keep',
}
const lax: PathRules = {
  encoded_slash: 'keep',
  encoded_backslash: 'keep',
  encoded_nul: 'keep',
  backslash: 'keep',
  repeated_slashes: 'keep',
  parameters: 'keep',
  trailing_slash: 'keep',
}

function read(target: string, rules = strict) {
  const out = { path: '', query: '', changed: false }
  const fault = readTarget(target, rules, out)
  return fault === null ? out : fault
}

suite('a request target', () => {
  const unchanged: [target: string, path: string, query: string][] = [
    ['/', '/', ''],
    ['/a/b', '/a/b', ''],
    ['/a?x?y=/../z%2f\\', '/a', 'x?y=/../z%2f\\'],
    ['/a?', '/a', ''],
    ['/a;x=1/..;/b', '/a;x=1/..;/b', ''],
    ['/a/..b/c.d/...', '/a/..b/c.d/...', ''],
    ['/a%20%C3%A9%25%3F%23', '/a%20%C3%A9%25%3F%23', ''],
    ['/a%0D%0Ab', '/a%0D%0Ab', ''],
    ['/%C0%AE%C0%AE/b', '/%C0%AE%C0%AE/b', ''],
    ['/a%252e%252e/b', '/a%252e%252e/b', ''],
    ['/a[1]{2}|^`"<>', '/a[1]{2}|^`"<>', ''],
  ]
  for (const [target, path, query] of unchanged) {
    test(`${target} is forwarded as it came`, () => {
      assert.deepEqual(read(target), { path, query, changed: false })
    })
  }

  test('a plain target is only split', () => {
    const out = { path: '', query: '', changed: true }
    assert.equal(readTarget('/a?b', strict, out, true), null)
    assert.deepEqual(out, { path: '/a', query: 'b', changed: false })
  })

  const canonical: [target: string, path: string][] = [
    ['/%41%7e%2D', '/A~-'],
    ['/%c3%a9', '/%C3%A9'],
    ['/a/./b', '/a/b'],
    ['/a/../b', '/b'],
    ['/a/%2e%2E/b', '/b'],
    ['/a/.%2e/b', '/b'],
    ['/a/.', '/a/'],
    ['/a/b/..', '/a/'],
    ['/../../..', '/'],
    ['/../a', '/a'],
    ['/a//../b', '/b'],
    ['//a///b', '/a/b'],
    ['//..', '/'],
  ]
  for (const [target, path] of canonical) {
    test(`${target} becomes ${path}`, () => {
      assert.deepEqual(read(`${target}?q`), { path, query: 'q', changed: true })
    })
  }

  const faults: [target: string, fault: string][] = [
    ['', 'not_a_path'],
    ['a', 'not_a_path'],
    ['?a', 'not_a_path'],
    ['/a#b', 'fragment'],
    ['/a?b#c', 'fragment'],
    ['/a%zzb', 'bad_escape'],
    ['/a%2', 'bad_escape'],
    ['/a%', 'bad_escape'],
    ['/a%u002f', 'bad_escape'],
    ['/a%2fb', 'encoded_slash'],
    ['/a/..%2Fb', 'encoded_slash'],
    ['/a%5c', 'encoded_backslash'],
    ['/a%00', 'encoded_nul'],
    ['/a\\..\\b', 'backslash'],
  ]
  for (const [target, fault] of faults) {
    test(`${target || 'an empty target'} is refused: ${fault}`, () => {
      assert.equal(read(target), fault)
    })
  }

  test('a path that a policy wrote is held to the same rules', () => {
    for (const path of ['/a b', '/a\r\nHost: x', '/a\u0000', '/é', '/a?b', '/\u007f']) {
      assert.deepEqual(canonicalPath(path, lax), { path: '', fault: 'bad_character' }, path)
    }
  })

  test('what two parsers could read differently passes when the listener says so', () => {
    assert.deepEqual(read('/a%2fb%5c%00\\', lax), { path: '/a%2Fb%5C%00\\', query: '', changed: true })
    assert.deepEqual(read('/a/..%2Fb', lax), { path: '/a/..%2Fb', query: '', changed: false })
    assert.equal(read('/a#', lax), 'fragment')
  })

  test('the canonical form is its own canonical form, and has no dot segments', () => {
    const pieces = [
      '/',
      '.',
      '..',
      '%2e',
      '%2E',
      'a',
      '%41',
      '%2f',
      '%5C',
      '%',
      '%00',
      ';',
      '//',
      '%25',
      '2e',
      '\\',
      '#',
      '?',
    ]
    let n = 1
    for (let i = 0; i < 20_000; i++) {
      let target = '/'
      for (let j = 0; j < 6; j++) {
        n = (n * 48271) % 0x7fffffff
        target += pieces[n % pieces.length]
      }
      const once = read(target, lax)
      if (typeof once === 'string') continue
      assert.deepEqual(canonicalPath(once.path, lax), { path: once.path, fault: null }, target)
      assert.equal(/(^|\/)(\.|%2e){1,2}(\/|$)/i.test(once.path), false, target)
    }
  })
})

suite('a path pattern', () => {
  const patterns: [written: string, canonical: string][] = [
    ['/a/*', '/a/*'],
    ['/a b', '/a%20b'],
    ['/é/€/😀', '/%C3%A9/%E2%82%AC/%F0%9F%98%80'],
    ['/%7euser/%2f', '/~user/%2F'],
    ['/100%', '/100%25'],
    ['/a/./b/../c/*', '/a/c/*'],
    ['/a/..*', '/a/..*'],
  ]
  for (const [written, canonical] of patterns) {
    test(`${written} means ${canonical}`, () => assert.equal(canonicalPattern(written), canonical))
  }
})

suite('cutting a prefix', () => {
  test('leaves a path', () => {
    assert.equal(stripPrefix('/api/users', '/api', strict), '/users')
    assert.equal(stripPrefix('/api/users', '/api/', strict), '/users')
    assert.equal(stripPrefix('/api', '/api', strict), '/')
    assert.equal(stripPrefix('/apiv2/x', '/api', strict), '/v2/x')
    assert.equal(stripPrefix('/api//x', '/api', lax), '//x')
  })

  test('is refused where the rest would leave the space of the route', () => {
    assert.equal(stripPrefix('/api../admin', '/api', strict), null)
    assert.equal(stripPrefix('/api./admin', '/api', strict), null)
    assert.equal(stripPrefix('/other', '/api', strict), null)
  })

  test('leaves a slash in front', () => {
    assert.equal(withoutPrefix('/api/users', '/api/'), '/users')
    assert.equal(withoutPrefix('/apiv2', '/api'), '/v2')
    assert.equal(withoutPrefix('/api', '/api'), '/')
    assert.equal(withoutPrefix('/other', '/api'), null)
  })
})

suite('an absolute target', () => {
  const targets: [target: string, method: string, authority: string, origin: string][] = [
    ['http://h.com/a?b', 'GET', 'h.com', '/a?b'],
    ['HTTP://h.com:80', 'GET', 'h.com:80', '/'],
    ['http://h.com?q', 'GET', 'h.com', '/?q'],
    ['http://h.com', 'OPTIONS', 'h.com', '*'],
    ['http://h.com/', 'OPTIONS', 'h.com', '/'],
    ['http://u@h.com/', 'GET', 'u@h.com', '/'],
  ]
  for (const [target, method, authority, origin] of targets) {
    test(`${method} ${target}`, () => {
      assert.deepEqual(splitAbsoluteTarget(target, method), { scheme: 'http', authority, target: origin })
    })
  }

  test('other forms are not taken for one', () => {
    for (const target of ['/a', '*', 'ftp://h/', 'http:/h', 'http://', 'http:///a', 'h.com:80']) {
      assert.equal(splitAbsoluteTarget(target, 'GET'), null, target)
    }
  })
})

suite('a host', () => {
  const good: [value: string, host: string, port: number][] = [
    ['foo.com', 'foo.com', 0],
    ['Foo.COM:8080', 'foo.com', 8080],
    ['foo.com.', 'foo.com', 0],
    ['foo.com.:80', 'foo.com', 80],
    ['foo.com:', 'foo.com', 0],
    ['127.0.0.1:65535', '127.0.0.1', 65535],
    ['[::1]', '[::1]', 0],
    ['[FE80::1]:81', '[fe80::1]', 81],
    ['a_b-c', 'a_b-c', 0],
    ['.foo.com:80', '.foo.com', 80],
  ]
  for (const [value, host, port] of good) {
    test(value, () => assert.deepEqual(parseHost(value), { host, port }))
  }

  const bad = [
    '',
    '.',
    ':80',
    'a..b',
    '..a',
    '.:80',
    'a.b..',
    'a b',
    'a,b',
    'u@a',
    'u:p@a',
    'a:80:81',
    'a:0',
    'a:65536',
    'a:8o',
    'a:+1',
    'a/b',
    'a\\b',
    'a?b',
    'a#b',
    'a%41',
    '::1',
    '[::1',
    '[::1]x',
    '[::1]:x',
    '[fe80::1%25eth0]',
    '[v1.x]',
    '[]',
    '[1.2.3.4]',
    'é',
    'a\u0000',
    'a\t',
    `${'a'.repeat(300)}`,
  ]
  for (const value of bad) {
    test(`${JSON.stringify(value.slice(0, 20))} is none`, () => assert.equal(parseHost(value), null))
  }
})
