import { suite, test } from 'node:test'
import { applyJsonPatch, PatchProblem } from './json-patch.ts'

suite('JSON Patch (RFC 6902)', () => {
  const cases: [name: string, value: unknown, patch: unknown[], expected: unknown][] = [
    ['adds a member (A.1)', { a: 1 }, [{ op: 'add', path: '/b', value: 2 }], { a: 1, b: 2 }],
    ['adds to a list (A.2)', { l: [1, 3] }, [{ op: 'add', path: '/l/1', value: 2 }], { l: [1, 2, 3] }],
    ['adds at the end of a list (A.16)', { l: [1] }, [{ op: 'add', path: '/l/-', value: 2 }], { l: [1, 2] }],
    ['removes a member (A.3)', { a: 1, b: 2 }, [{ op: 'remove', path: '/b' }], { a: 1 }],
    ['removes from a list (A.4)', { l: [1, 2, 3] }, [{ op: 'remove', path: '/l/1' }], { l: [1, 3] }],
    ['replaces (A.5)', { a: 1 }, [{ op: 'replace', path: '/a', value: [2] }], { a: [2] }],
    [
      'moves (A.6)',
      { a: { x: 1 }, b: {} },
      [{ op: 'move', from: '/a/x', path: '/b/y' }],
      { a: {}, b: { y: 1 } },
    ],
    ['copies', { a: { x: 1 } }, [{ op: 'copy', from: '/a', path: '/b' }], { a: { x: 1 }, b: { x: 1 } }],
    ['tests (A.8)', { a: { x: [1] } }, [{ op: 'test', path: '/a', value: { x: [1] } }], { a: { x: [1] } }],
    [
      'escapes names (A.14)',
      { '/': 1, '~': 2 },
      [{ op: 'replace', path: '/~1', value: 3 }],
      { '/': 3, '~': 2 },
    ],
    ['replaces all', { a: 1 }, [{ op: 'replace', path: '', value: { b: 2 } }], { b: 2 }],
  ]
  for (const [name, value, patch, expected] of cases) {
    test(name, (t) => t.assert.deepEqual(applyJsonPatch(value, patch), expected))
  }

  test('leaves what it is given as it is', (t) => {
    const value = { a: { b: 1 } }
    applyJsonPatch(value, [{ op: 'replace', path: '/a/b', value: 2 }])
    t.assert.deepEqual(value, { a: { b: 1 } })
  })

  const refused: [name: string, patch: unknown[], message: RegExp][] = [
    ['a member that is not there', [{ op: 'remove', path: '/b' }], /operation 1: there is no b/],
    ['a place beyond the end', [{ op: 'add', path: '/l/2', value: 1 }], /there is no place 2 in the list/],
    ['a property of lists', [{ op: 'replace', path: '/l/length', value: 0 }], /there is no place length/],
    ['a place with a leading zero', [{ op: 'remove', path: '/l/00' }], /there is no place 00/],
    ['a test that fails', [{ op: 'test', path: '/a', value: 2 }], /the test fails/],
    ['a move into itself', [{ op: 'move', from: '/o', path: '/o/p' }], /cannot be moved into itself/],
    ['an operation that there is not', [{ op: 'increment', path: '/a' }], /there is no operation increment/],
    ['a pointer that is none', [{ op: 'add', path: 'a', value: 1 }], /is no JSON pointer/],
    ['a value that is missing', [{ op: 'add', path: '/a' }], /value is required/],
    ['a way to the prototype', [{ op: 'add', path: '/__proto__', value: 1 }], /not allowed/],
    [
      'a member of the prototype',
      [{ op: 'add', path: '/constructor/x', value: 1 }],
      /there is no constructor/,
    ],
  ]
  for (const [name, patch, message] of refused) {
    test(`refuses ${name}`, (t) => {
      t.assert.throws(
        () => applyJsonPatch({ a: 1, l: [1], o: {} }, patch),
        (error) => error instanceof PatchProblem && message.test(error.message),
      )
    })
  }
})
