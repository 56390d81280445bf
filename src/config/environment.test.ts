// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to variables are what this file is about
import { suite, test } from 'node:test'
import { expandVariables, type MissingVariable, mayReferToVariables } from './environment.ts'

const env = { HOST: 'example.com', PORT: '9080', FLAG: 'true', EMPTY: '', JSON: '{"key":"value","n":1}' }

function expand(value: unknown) {
  const missing: MissingVariable[] = []
  return { value: expandVariables(value, env, (variable) => missing.push(variable)), missing }
}

suite('references to variables', () => {
  test('stand anywhere in a string', (t) => {
    t.assert.equal(expand('http://${HOST}:${PORT}/${EMPTY}').value, 'http://example.com:9080/')
  })

  test('are found at any depth, and leave the rest alone', (t) => {
    const rest = { a: [1, null] }
    const { value } = expand({ rest, list: ['${HOST}', { deep: '${PORT}' }] })
    t.assert.deepEqual(value, { rest, list: ['example.com', { deep: '9080' }] })
    t.assert.equal((value as { rest: unknown }).rest, rest)
  })

  test('leave templates alone, and can be escaped', (t) => {
    t.assert.equal(expand('${remote_addr} $host $1').value, '${remote_addr} $host $1')
    t.assert.equal(expand('$${HOST}').value, '${HOST}')
  })

  test('of APISIX take defaults, and become numbers and booleans when alone', (t) => {
    t.assert.deepEqual(
      expand(['${{PORT}}', '${{FLAG}}', '${{NONE:=7}}', '${{ NONE:=x }}', ':${{PORT}}']).value,
      [9080, true, 7, 'x ', ':9080'],
    )
    t.assert.equal(expand('${PORT}').value, '9080')
  })

  test('as $env:// read a variable, or a key of the JSON in it', (t) => {
    t.assert.deepEqual(expand(['$env://HOST', '$ENV://JSON/key', '$env://JSON/n']).value, [
      'example.com',
      'value',
      '1',
    ])
  })

  test('as $env:// stay as they are where policies and secret managers are configured', (t) => {
    const written = {
      routes: [{ plugins: { 'key-auth': { header: '$env://HOST' } }, desc: '$env://HOST' }],
      plugin_metadata: [{ id: 'x', a: '$env://NONE' }],
      secrets: [{ id: 'vault/1', token: '$env://HOST', uri: 'http://${HOST}' }],
    }
    const { value, missing } = expand(written)
    t.assert.deepEqual(value, {
      routes: [{ plugins: { 'key-auth': { header: '$env://HOST' } }, desc: 'example.com' }],
      plugin_metadata: [{ id: 'x', a: '$env://NONE' }],
      secrets: [{ id: 'vault/1', token: '$env://HOST', uri: 'http://example.com' }],
    })
    t.assert.deepEqual(missing, [])
  })

  test('to what is not set are told with their place, and stay', (t) => {
    const { value, missing } = expand({ a: ['${NONE}', '$env://NONE', '$env://HOST/key', '${{NONE}}'] })
    t.assert.deepEqual(value, { a: ['${NONE}', '$env://NONE', '$env://HOST/key', '${{NONE}}'] })
    t.assert.deepEqual(missing, [
      { path: ['a', 0], name: 'NONE', problem: 'not set' },
      { path: ['a', 1], name: 'NONE', problem: 'not set' },
      { path: ['a', 2], name: 'HOST', problem: 'not JSON with that key' },
      { path: ['a', 3], name: 'NONE', problem: 'not set' },
    ])
  })

  test('are noticed in a text before it is walked', (t) => {
    const texts = ['a: ${X}', 'a: ${{X}}', 'a: $ENV://X', '{"a":"$env:\\/\\/X"}', 'a: $host']
    t.assert.deepEqual(texts.map(mayReferToVariables), [true, true, true, true, false])
  })
})
