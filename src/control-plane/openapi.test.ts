import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { controlPlaneOpenApi, controlPlaneReference } from './openapi.ts'
import { operations } from './operations/index.ts'

const page = new URL('../../docs/reference/control-plane.md', import.meta.url)

test('the reference page is what the operations say', (t) => {
  const text = controlPlaneReference()
  if (process.env.UPDATE_REFERENCE === '1') writeFileSync(page, text)
  t.assert.equal(readFileSync(page, 'utf8'), text)
})

test('the OpenAPI document has every operation, with its scope', (t) => {
  const { paths } = controlPlaneOpenApi('1') as {
    paths: Record<string, Record<string, { security: object[] }>>
  }
  t.assert.equal(
    Object.values(paths).reduce((sum, path) => sum + Object.keys(path).length, 0),
    operations.length,
  )
  const open = operations.filter(({ access }) => access === 'public').map(({ path }) => path)
  t.assert.deepEqual(open, [
    '/sync/v1/trust',
    '/sync/v1/registrations',
    '/sync/v1/registrations/{id}/certificate',
    '/accounts/api/login',
    '/accounts/api/v2/oauth2/token',
  ])
})

test('no two operations answer at the same place', (t) => {
  const places = operations.map(({ method, path }) => `${method} ${path.replace(/\{\w+\}/g, '{}')}`)
  t.assert.equal(new Set(places).size, places.length)
})
