import assert from 'node:assert/strict'
import { test } from 'node:test'
import { table } from './section.ts'

test('a table is aligned for a terminal and valid Markdown: names left, figures right', () => {
  const section = {
    name: 'plain',
    summary: '',
    columns: ['gateway', 'CPU us'],
    rows: [
      ['nginx', '20.4'],
      ['http-proxy-3', '161.2'],
    ],
    notes: [],
    data: null,
  }
  assert.equal(
    table(section),
    `| gateway      | CPU us |
| ------------ | -----: |
| nginx        |   20.4 |
| http-proxy-3 |  161.2 |`,
  )
})
