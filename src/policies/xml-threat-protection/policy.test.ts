import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, runPolicy } from '../kit/testing.ts'
import { refusals } from '../kit/threats/testing.ts'
import policy from './policy.ts'

const limits = {
  max_node_depth: 3,
  max_attribute_count_per_element: 2,
  max_child_count: 3,
  max_text_length: 5,
  max_attribute_length: 4,
  max_comment_length: 6,
}
const send = (body: string, headers: object = { 'Content-Type': 'text/xml' }, config: object = limits) =>
  runPolicy(policy, { config, request: { method: 'POST', headers: headers as never, body } })

suite('what is within the limits goes on as it is', () => {
  const bodies = [
    '<?xml version="1.0" encoding="utf-8"?>\n<a b="1" c=\'&lt;&#x41;&amp;2\'><b><c/></b><!-- no --><d>&gt;1234</d></a>',
    '<n:a xmlns:n="urn:">x<![CDATA[]]]]><![CDATA[>]]></n:a>',
    '\ufeff<é>😀😀😀😀😀</é >',
    '<a><?b cdefg?></a>',
  ]
  for (const body of bodies) {
    test(body, async () => {
      const { upstream } = await send(body)
      assert.equal(upstream?.body, Buffer.from(body).toString('latin1'))
    })
  }
})

suite('what is not is rejected, and said', () => {
  refusals(send, [
    ['<a><b><c><d/></c></b></a>', 'it is nested too deeply'],
    ['<a b="" c="" d=""/>', 'an element has too many attributes'],
    ['<a><b/><!----><?c?><d/></a>', 'an element has too many children'],
    ['<a>123456</a>', 'a text is too long'],
    ['<a>12<!-- -->34<![CDATA[56]]></a>', 'a text is too long'],
    ['<a b="12345"/>', 'an attribute is too long'],
    ['<a><!--1234567--></a>', 'a comment is too long'],
    ['<!DOCTYPE a><a/>', 'it has a document type'],
    ['<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>', 'it has a document type'],
    ['<a>&b;</a>', 'it refers to an entity'],
    ['<a>&#0;</a>', 'it is not XML'],
    ['<a b="1" b="2"/>', 'it is not XML'],
    ['<a></b>', 'it is not XML'],
    ['<a/><a/>', 'it is not XML'],
    ['<a>]]></a>', 'it is not XML'],
    ['<a', 'it is not XML'],
    ['{}', 'it is not XML'],
    ['<?xml version="1.0" encoding="utf-7"?><a/>', 'it is not UTF-8'],
    ['<\0a\0/\0>\0', 'it is not XML'],
  ])
})

test('nesting costs the gateway nothing, however deep it is', async () => {
  assert.equal((await send('<a>'.repeat(300_000), undefined, {})).answer.status, 400)
})

test('types: XML and none are read, others pass', async () => {
  for (const headers of [
    {},
    { 'content-type': 'application/soap+xml' },
    { 'content-type': 'application/xml' },
  ])
    assert.equal((await send('<a', headers)).answer.status, 400)
  assert.ok((await send('<a', { 'content-type': 'application/json' })).upstream)
  assert.equal((await send('<a/>', { 'content-type': 'text/xml; charset=utf-16' })).answer.status, 400)
})

suite('the configuration', () => {
  const refused: [object, RegExp][] = [
    ...Object.keys(limits).map((name): [object, RegExp] => [{ [name]: -2 }, new RegExp(name)]),
    [{ max_node_depth: '2' }, /max_node_depth/],
    [{ every_type: 'x' }, /every_type/],
    [{ max_req_body_size: 0 }, /max_req_body_size/],
    [{ rejected_code: 200 }, /rejected_code/],
    [{ rejected_msg: '' }, /rejected_msg/],
    [{ maxNodeDepth: 1 }, /maxNodeDepth/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () =>
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding),
    )
  }
})
