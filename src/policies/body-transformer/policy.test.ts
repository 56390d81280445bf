import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bindPolicy, type FakeRequest, runPolicy } from '../kit/testing.ts'
import policy from './policy.ts'

const latin1 = (text: string) => Buffer.from(text).toString('latin1')

/** What the upstream gets in place of a body. */
async function made(template: string, body: string, request: FakeRequest = {}, more: object = {}) {
  const { upstream, answer } = await runPolicy(policy, {
    config: { request: { template, ...more } } as never,
    variables: { arg_name: 'foo' },
    request: { method: 'POST', headers: { 'content-type': 'application/json' }, body, ...request },
  })
  return upstream?.body ?? `${answer.status} ${answer.body}`
}

suite('templates', () => {
  const filled: [template: string, body: string, made: string][] = [
    [
      '{"foo":"{{name .. " world"}}","bar":{{age+10}}}',
      '{"name":"hello","age":20}',
      '{"foo":"hello world","bar":30}',
    ],
    [
      '{{a}} {*a*} {*_escape_json(a)*} {*_escape_xml(a)*}',
      '{"a":"<\'/\\""}',
      '&lt;&#39;&#47;&quot; <\'/" "<\'\\/\\"" &lt;&apos;/&quot;',
    ],
    ['{{a.b[2].c}}-{{a.x}}-{{null}}-{{n}}', '{"a":{"b":[1,{"c":"é"}]},"n":null}', latin1('é---')],
    [
      '{% if a == nil then %}none{% elseif a > 1 and a ~= 3 then %}many{% else %}one{% end %}',
      '{"a":2}',
      'many',
    ],
    ['{% for i, v in ipairs(l) do %}{{i}}={{v}};{% end %}', '{"l":["a","b"]}', '1=a;2=b;'],
    ['{% for k, v in pairs(m) do %}{{k}}={{v}};{% end %}', '{"m":{"x":1,"y":2}}', 'x=1;y=2;'],
    ['{% for i = 3, 1, -1 do if i == 1 then break end %}{{i}}{% end %}', '{}', '32'],
    [
      '[{% local first = true for _, v in ipairs(l) do if not first then %},{% end first = false %}{{v}}{% end %}]',
      '{"l":[1,2,3]}',
      '[1,2,3]',
    ],
    ['a  {% local x = 1 %}\nb{# no #}c\\{{d}} {{x}}', '{}', 'abc{{d}} 1'],
    ['{* string.gsub(_body, "(%a+): %d*", "<%1$>") *}', '{"a: 12":1}', '{"<a$>":1}'],
    ['{{tonumber("0x10") * 2 ^ 2 % 7}} {{7 / 2}} {{#l}} {{-1}} {{not l}}', '{"l":[1,2]}', '1 3.5 2 -1 false'],
    ['{{12345678901234567}} {{0.1 + 0.2}} {{1e300}}', '{}', '1.2345678901235e+16 0.3 1e+300'],
    [
      '{{a:upper():sub(2, -2)}} {{string.format("%05.1f|%-3s|%d", 3.14159, "x", "7")}}',
      '{"a":"hello"}',
      'ELL 003.1|x  |7',
    ],
    [
      '{{table.concat(l, ",")}} {{type(l)}} {{tostring(nil)}} {{a or "b"}} {{string.match(s, "k=(%w+)")}}',
      '{"l":[1,"x"],"s":"k=v1;"}',
      '1,x table nil b v1',
    ],
    [
      '{{_ctx.var.arg_name .. _ctx.var["request_method"]}} {{context.a}} {*context._body*}',
      '{"a":1}',
      'fooPOST 1 {"a":1}',
    ],
    ['{% local c = require("cjson.safe") local v = c.decode(_body) %}{*c.encode(v.a)*}', '{"a":[1]}', '[1]'],
    [
      '{% local yaml = require "tinyyaml" local b = yaml.parse(s) %}{{b.foo.bar}}',
      '{"s":"foo:\\n  bar: x"}',
      'x',
    ],
    ['{{type}} {{string}} {{_body and "body"}}', '{"type":"t","string":"s","_body":"no"}', 't s body'],
    [
      '{% context.name = "bar" a.b[2] = 3 a["__proto__"] = 1 context.c = nil %}{*_escape_json(context)*}',
      '{"a":{"b":[1]},"c":1}',
      '{"a":{"b":[1,3],"__proto__":1},"name":"bar"}',
    ],
    ['{{ {', '{}', '{{ {'],
  ]
  for (const [template, body, expected] of filled) {
    test(template, async () => assert.equal(await made(template, body), expected))
  }
})

suite('templates that fail with what they got', () => {
  const failing: [template: string, body: string, reason: RegExp][] = [
    ['{{name() .. " world"}}', '{"name":"a"}', /attempt to call a string value/],
    ['{{a.b.c}}', '{}', /attempt to index field 'b' of a nil value/],
    ['{{a + 1}}', '{"a":"x"}', /attempt to perform arithmetic on a string value/],
    ['{{a .. b}}', '{"a":"x"}', /attempt to concatenate a nil value/],
    ['{{a < 1}}', '{"a":"x"}', /attempt to compare string with number/],
    ['{*a*}', '{"a":[]}', /use _escape_json/],
    ['{% for i = 1, 1e9 do %}{% end %}', '{}', /it takes too long/],
    ['{% local s = "xxxxxxxx" for i = 1, 100 do s = s .. s end %}', '{}', /a text is too long/],
    ['{{string.rep("x", 1e9)}}', '{}', /a text is too long/],
  ]
  for (const [template, body, reason] of failing) {
    test(template, async () => {
      const answer = await made(template, body)
      assert.match(answer, /^503 \{"message":"request template rendering: /)
      assert.match(answer, reason)
    })
  }
})

suite('what a template cannot say is a finding with its place', () => {
  const refused: [template: string, finding: RegExp][] = [
    ['ab\n{{os.execute("x")}}', /request\.template cannot be used: line 2, character 3: `os` is not there/],
    ['{% while true do end %}', /`while` cannot be used here/],
    ['{% local function f() end %}', /`function` is not expected/],
    ['{% local t = {} %}', /tables cannot be written/],
    ['{% a() = 1 %}', /is not expected/],
    ['{% a.b %}', /is not expected/],
    ['{% a = 1 %}', /write `local a =`/],
    ['{% if a then %}', /`end` is missing/],
    ['{% end %}', /stands where nothing is open/],
    ['{{_escape_jsn(a)}}', /there is no function `_escape_jsn`/],
    ['{{a b}}', /`b` is not expected/],
    ['{% require("os") %}', /`require` is not there/],
    ['{% local o = require("os") %}', /`os` cannot be loaded: the modules are cjson/],
    ['{{_ctx.secret}}', /`_ctx\.secret` is not there/],
    ['{{string.gsub(a, b, c)}}', /patterns .* are written out/],
    ['{{string.find(a, "%b()")}}', /%b, which is not supported/],
    ['{(file.html)}', /other templates are not included/],
    [`{{${'('.repeat(1000)}1${')'.repeat(1000)}}}`, /nested too deeply/],
  ]
  for (const [template, finding] of refused) {
    test(template.slice(0, 60), () =>
      assert.throws(() => bindPolicy(policy, { config: { request: { template } } }), finding),
    )
  }
})

suite('formats', () => {
  const types = (type: string): FakeRequest => ({ headers: { 'content-type': type } })
  const soap =
    '<e:Envelope xmlns:e="urn:e"><e:Body><r><n>1 &amp; 2</n><x/><m a="b">t</m><l>1</l><l>2</l></r></e:Body></e:Envelope>'

  test('XML: names lose their prefixes, elements of one name are a list, attributes are _attr', async () => {
    const template =
      '{% local r = Envelope.Body.r %}{*r.n*}|{{r.x}}|{{r.m[1]}}{{r.m._attr.a}}|{{r.l[2]}}{{#r.l}}'
    assert.equal(await made(template, soap, types('text/xml; charset=utf-8')), '1 & 2||tb|22')
  })

  test('forms, whose names may come twice or alone', async () => {
    const template = '{{a}} {{b[2]}} {{c}} {{d .. 1}}'
    const form = types('application/x-www-form-urlencoded')
    assert.equal(await made(template, 'a=%31+2&b=1&b=2&c&d=', form), '1 2 2 true 1')
  })

  test('a GET has its query, whatever is set', async () => {
    const get = { method: 'GET', target: '/?a=1&b=%C3%A9', body: '' }
    assert.equal(await made('{{a}}{{b}}', '', get, { input_format: 'json' }), latin1('1é'))
  })

  test('plain bodies are not looked into', async () => {
    const template = '{"message": "{* string.gsub(_body, \'not \', \'\') *}"}'
    assert.equal(
      await made(template, 'not actually json', {}, { input_format: 'plain' }),
      '{"message": "actually json"}',
    )
  })

  test('bodies in parts, to which something is added', async () => {
    const body =
      '--B\nContent-Disposition: form-data; name="age"\n\n19\n--B\r\nContent-Disposition: form-data; name=f; filename="x"\r\nContent-Type: text/plain\r\n\r\na\r\nb\r\n--B--'
    const template = `{% if tonumber(age) > 18 then context._multipart:set_simple("status", "adult") end
      local body = _multipart:tostring() %}{*body*}`
    const parts = [
      'Content-Disposition: form-data; name="age"\r\n\r\n19',
      'Content-Disposition: form-data; name=f; filename="x"\r\nContent-Type: text/plain\r\n\r\na\r\nb',
      'Content-Disposition: form-data; name="status"\r\n\r\nadult',
    ]
    const expected = `${parts.map((part) => `--B\r\n${part}\r\n`).join('')}--B--\r\n`
    assert.equal(await made(template, body, types('multipart/form-data; boundary=B')), expected)
  })

  test('templates in base64', async () => {
    const template = Buffer.from('{{a}}é').toString('base64')
    assert.equal(await made(template, '{"a":1}'), latin1('1é'))
    const form = types('application/x-www-form-urlencoded')
    assert.equal(await made(template, 'a=1', form), template)
    assert.equal(await made(template, 'a=1', form, { template_is_base64: true }), latin1('1é'))
  })

  test('a body of another type, or none, is not looked into', async () => {
    assert.equal(await made('{{a}}!{{_body}}', '{"a":1}', types('text/plain')), '!{&quot;a&quot;:1}')
    assert.equal(await made('x{{a}}', ''), 'x')
  })
})

suite('bodies that cannot be read are 400', () => {
  const bodies: [format: string, body: string][] = [
    ['json', '{"a"'],
    ['json', '1'],
    ['json', `${'['.repeat(100_000)}`],
    ['xml', '{}'],
    ['xml', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'],
    ['xml', `${'<a>'.repeat(1000)}`],
  ]
  for (const [input_format, body] of bodies) {
    test(`${input_format} ${body.slice(0, 40)}`, async () => {
      assert.match(await made('x', body, {}, { input_format }), /^400 \{"message":"request body decode: /)
    })
  }
})

test('a body cannot stand in front of what templates rely on', async () => {
  const body = JSON.stringify({
    name: 'safe',
    _escape_json: 'evil',
    _ctx: 'evil',
    context: 'evil',
    tonumber: 'evil',
  })
  const template = '{*_escape_json(name)*}{{_ctx.var.arg_name}}{{tonumber("1")}}{{context.name}}'
  assert.equal(await made(template, body), '"safe"foo1safe')
  assert.equal(await made('{{toString}}{{constructor}}{{a.length}}', '{"a":{}}'), '')
})

test('a body that is too large is 413', async () => {
  const { answer } = await runPolicy(policy, {
    config: { request: { template: 'x' }, max_req_body_size: 3 },
    request: { method: 'POST', body: '1234' },
  })
  assert.equal(answer.status, 413)
})

suite('answers', () => {
  const answered = (template: string, response: object, more: object = {}) =>
    runPolicy(policy, {
      config: { response: { template }, ...more },
      request: { consumer: 'jack' },
      response: { headers: { 'content-type': 'application/json', etag: '"1"' }, ...response },
    })

  test('are made from what the upstream said, the request and the caller', async () => {
    const template = '{{_ctx.var.status}} {{_ctx.consumer and _ctx.consumer.username or ""}} {{a}}'
    const { answer } = await answered(template, { body: '{"a":1}' })
    assert.deepEqual([answer.body, answer.headers.etag], ['200 jack 1', undefined])
  })

  test('break off where they cannot be made, so that nothing gets through', async () => {
    await assert.rejects(answered('{{a.b}}', { body: '{"secret":1}' }), /response template rendering/)
    await assert.rejects(answered('{{a}}', { body: 'secret' }), /response body decode/)
    const headers = { 'content-type': 'application/json', 'content-encoding': 'zstd' }
    await assert.rejects(answered('{{a}}', { body: 'secret', headers }), /of this encoding/)
  })

  test('beyond the limit are cut off', async () => {
    const { answer } = await answered('{*_body*}', { body: '123456', headers: {} }, { max_resp_body_size: 3 })
    assert.equal(answer.body, '123')
  })
})

suite('the configuration', () => {
  const refused: [object, RegExp][] = [
    [{}, /request|response/],
    [{ request: {} }, /template/],
    [{ request: { template: 1 } }, /template/],
    [{ request: { template: '', input_format: 'yaml' } }, /input_format/],
    [{ response: { template: '', template_is_base64: 1 } }, /template_is_base64/],
    [{ request: { template: '' }, max_req_body_size: 0 }, /max_req_body_size/],
    [{ request: { template: '' }, max_resp_body_size: 0 }, /max_resp_body_size/],
    [{ request: { template: '', other: 1 } }, /other/],
  ]
  for (const [config, finding] of refused) {
    test(JSON.stringify(config), () =>
      assert.throws(() => bindPolicy(policy, { config: config as never }), finding),
    )
  }
})
