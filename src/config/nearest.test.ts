import { test } from 'node:test'
import { nearest } from './nearest.ts'

const names = ['cors', 'key-auth', 'limit-count', 'prometheus']

test('finds the name that was meant', (t) => {
  t.assert.equal(nearest('key-auht', names), 'key-auth')
  t.assert.equal(nearest('limitcount', names), 'limit-count')
  t.assert.equal(nearest('promethius', names), 'prometheus')
})

test('prefers the nearest', (t) => {
  t.assert.equal(nearest('urri', ['uris', 'uri']), 'uri')
  t.assert.equal(nearest('pth', ['paths', 'path', 'host']), 'path')
})

test('suggests nothing far away', (t) => {
  t.assert.equal(nearest('jwt-auth', ['cors']), undefined)
  t.assert.equal(nearest('z', ['a']), undefined)
  t.assert.equal(nearest('', names), undefined)
})
