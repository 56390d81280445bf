import { suite, test } from 'node:test'
import { scanJson } from './json-text.ts'
import { LineIndex, type Wanted, wantedTree } from './position.ts'

function locate(text: string, wanted: Wanted[]) {
  const lines = new LineIndex(text)
  const found: string[] = []
  scanJson(text, wantedTree(wanted), (index, offset) => {
    const { line, column } = lines.position(offset)
    found[index] = `${line}:${column}`
  })
  return found
}

suite('scanJson', () => {
  test('finds keys and values, whatever their escapes', (t) => {
    const text = '{\n  "a": [1, { "\\u0062": true }],\n  "c": "x\\"y"\n}'
    t.assert.deepEqual(
      locate(text, [
        { path: [], at: 'value' },
        { path: ['a'], at: 'key' },
        { path: ['a', 0], at: 'value' },
        { path: ['a', 1, 'b'], at: 'key' },
        { path: ['a', 1, 'b'], at: 'value' },
        { path: ['c'], at: 'value' },
      ]),
      ['1:1', '2:3', '2:9', '2:14', '2:24', '3:8'],
    )
  })

  test('places what is missing at the nearest value around it', (t) => {
    t.assert.deepEqual(locate('{ "a": { "b": 1 } }', [{ path: ['a', 'c', 0], at: 'key' }]), ['1:8'])
  })

  test('tells keys that come twice', (t) => {
    const { duplicateKeys } = scanJson('{"a":1,"b":{"a":1},"\\u0061":2}')
    t.assert.deepEqual(duplicateKeys, [{ offset: 19, key: 'a' }])
  })

  test('tells keys that come twice among many', (t) => {
    const many = Array.from({ length: 100 }, (_, index) => `"k${index}":0`)
    const { duplicateKeys } = scanJson(`{${[...many, '"k3":1'].join()}}`)
    t.assert.deepEqual(
      duplicateKeys.map(({ key }) => key),
      ['k3'],
    )
  })

  test('accepts and refuses what JSON.parse accepts and refuses', (t) => {
    const texts = [
      ...[
        '{}',
        '[]',
        ' [1 , 2] ',
        '"a"',
        '-0.5e+10',
        'null',
        'true',
        'false',
        '{"a":{"b":[{}]}}',
        '"\\ud800"',
      ],
      ...['', '{', '[', '[1,]', '{"a":1,}', '{a:1}', "{'a':1}", '01', '1.', '.5', '+1', '-', 'nul', 'truee'],
      ...[
        '[1 2]',
        '{"a" 1}',
        '{"a":}',
        '"a',
        '"\\x"',
        '"\\u12"',
        '"a\tb"',
        '"a\nb"',
        '{} {}',
        '// x\n{}',
        'NaN',
      ],
    ]
    for (const text of texts) {
      const { syntaxError } = scanJson(text)
      t.assert.equal(syntaxError === undefined, parses(text), JSON.stringify(text))
    }
  })

  test('refuses a nesting that would overflow the stack of its readers', (t) => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000)
    t.assert.match(scanJson(deep).syntaxError?.message ?? '', /too deep/)
  })

  test('quotes nothing of the text', (t) => {
    const { syntaxError } = scanJson('{"key": secret}')
    t.assert.deepEqual(syntaxError, { offset: 8, message: 'a value is expected here' })
  })
})

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
