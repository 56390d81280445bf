import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { readMultipart } from './multipart.ts'

const type = 'multipart/form-data; boundary=b0'

function parts(lines: string[], contentType = type): Record<string, string> | null {
  const read = readMultipart(lines.join('\r\n'), contentType)
  return read && Object.fromEntries(read)
}

suite('a multipart form', () => {
  test('has its parts by name', () => {
    const body = [
      '--b0',
      'Content-Disposition: form-data; name="a"',
      '',
      '1',
      '--b0',
      'content-disposition: form-data; name=b; filename="x"',
      'Content-Type: text/plain',
      '',
      'two\r\nlines',
      '--b0--',
      '',
    ]
    assert.deepEqual(parts(body), { a: '1', b: 'two\r\nlines' })
    assert.deepEqual(parts(body, 'multipart/form-data; charset=x; boundary="b0"'), {
      a: '1',
      b: 'two\r\nlines',
    })
  })

  test('may have line feeds alone, text in front, and no end', () => {
    const body =
      'preamble\n--b0\nContent-Disposition: form-data; name="a"\n\n1\n--b0\nContent-Disposition: form-data; name="b"\n\n2'
    assert.deepEqual(Object.fromEntries(readMultipart(body, type)!), { a: '1', b: '2' })
  })

  test('has the last of several parts of a name, and empty ones', () => {
    const part = (name: string, value: string) => [
      '--b0',
      `Content-Disposition: form-data; name="${name}"`,
      '',
      value,
    ]
    assert.deepEqual(parts([...part('a', '1'), ...part('a', '2'), ...part('c \\"d\\"', ''), '--b0--']), {
      a: '2',
      'c "d"': '',
    })
  })

  test('leaves out what has no name or no end of its fields', () => {
    assert.deepEqual(parts(['--b0', 'Content-Disposition: form-data', '', '1', '--b0', 'X: y', '--b0--']), {})
    assert.deepEqual(parts(['--b0', '', 'no fields', '--b0--']), {})
  })

  test('is none without its boundary', () => {
    assert.equal(parts(['--b0', '', 'x', '--b0--'], 'multipart/form-data'), null)
    assert.equal(parts(['--other', '', 'x', '--other--']), null)
    assert.equal(parts([''], type), null)
  })
})
