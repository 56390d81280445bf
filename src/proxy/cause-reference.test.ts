import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { causeReference } from './cause-reference.ts'
import { errors } from './errors.ts'

const file = new URL('../../docs/reference/errors.md', import.meta.url)

test('the reference page is the one that the table of errors makes', () => {
  if (process.env.UPDATE_REFERENCE === '1') writeFileSync(file, causeReference())
  const page = readFileSync(file, 'utf8')
  assert.ok(
    page === causeReference(),
    'run: UPDATE_REFERENCE=1 node --test src/proxy/cause-reference.test.ts',
  )
})

test('no two errors have the same code, and none has the name of its source', () => {
  const codes = Object.values(errors).map(({ code }) => code)
  assert.deepEqual([...new Set(codes)], codes)
  assert.ok(codes.every((code) => /^[a-z\d]+(_[a-z\d]+)*$/.test(code)))
})
