import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

test('answers are compressed for clients that accept it; weak and odd ETags', async () => {
  const { run } = bindPolicy(policy)
  const etag = async (value: string) => {
    const headers = { 'Content-Type': 'text/html', ETag: value }
    const { answer } = await run({ headers: { 'Accept-Encoding': 'gzip, br' } }, { headers, body: 'x' })
    assert.equal(answer.headers['content-encoding'], 'br')
    return answer.headers.etag
  }
  assert.equal(await etag('"1"'), 'W/"1"')
  assert.equal(await etag('W/"1"'), 'W/"1"')
  assert.equal(await etag('1'), undefined)
  assert.equal(await etag('"a"b"'), undefined)
})

suite('the configuration', () => {
  const refused: [object, RegExp][] = [
    [{ types: [] }, /types/],
    [{ min_length: 0 }, /min_length/],
    [{ mode: 4 }, /mode/],
    [{ comp_level: 12 }, /comp_level/],
    [{ http_version: 2 }, /http_version/],
    [{ lgwin: 100 }, /lgwin/],
    [{ lgblock: 8 }, /lgblock/],
    [{ vary: 'x' }, /vary/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () =>
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding),
    )
  }
})
