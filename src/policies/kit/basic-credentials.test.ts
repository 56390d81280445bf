import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readBasicCredentials } from './basic-credentials.ts'

const cases: [field: string, pair: [string, string] | undefined][] = [
  ['Basic Zm9vOmJhcg==', ['foo', 'bar']],
  ['basic \t Zm9vOmJhcg==', ['foo', 'bar']],
  ['BASIC Zm9vOmJhcg', ['foo', 'bar']],
  ['Basic Og==', ['', '']],
  [`Basic ${Buffer.from('a:b:c').toString('base64')}`, ['a', 'b:c']],
  [`Basic ${Buffer.from('ü:é').toString('base64')}`, ['\u00c3\u00bc', '\u00c3\u00a9']],
  ['Basic', undefined],
  ['Basic ', undefined],
  ['BasicZm9vOmJhcg==', undefined],
  ['Bearer Zm9vOmJhcg==', undefined],
  ['Basic Zm9v', undefined],
  ['Basic Zm9vOmJhcg== x', undefined],
  ['Basic Zm9vOmJhcg==, Basic Zm9vOmJhcg==', undefined],
  ['Basic Zm9v_mJhcg==', undefined],
  ['Basic Zm9vO', undefined],
  ['x Basic Zm9vOmJhcg==', undefined],
]
for (const [field, pair] of cases) {
  test(JSON.stringify(field), () => {
    const expected = pair && { user: pair[0], password: pair[1] }
    assert.deepEqual(readBasicCredentials(field), expected)
  })
}
