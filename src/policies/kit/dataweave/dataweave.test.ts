import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { expression, expressionProblem, textOrExpression } from './expression.ts'
import { DataWeaveProblem } from './problem.ts'
import { authenticationMembers, nothing, responseAttributes, type Scope } from './scope.ts'
import { longestExpression } from './syntax.ts'
import { plain, type Value, View } from './values.ts'

class Members extends View {
  readonly members: Readonly<Record<string, Value>>

  constructor(members: Readonly<Record<string, Value>>) {
    super()
    this.members = members
  }

  override get(key: string): Value {
    return this.members[key] ?? null
  }

  override entries(): [string, Value][] {
    return Object.entries(this.members)
  }
}

const scope: Scope = {
  attributes: new Members({
    method: 'GET',
    headers: new Members({ 'x-api-key': 'abc', authorization: 'Basic dXNlcjpwYXNz', empty: '' }),
    queryParams: new Members({ client_id: 'one', 'a b': 'spaced' }),
    requestPath: '/orders/42',
    statusCode: 404,
    clientAddress: new Members({ ip: '192.0.2.7' }),
  }),
  authentication: new Members({
    clientId: 'app',
    properties: new Members({ claims: { sub: 'me', scope: 'read write', nested: { deep: [1, 2] } } }),
  }),
  vars: new Members({ claimSet: { aud: ['a', 'b'], exp: 99 } }),
  payload: JSON.parse(
    '{"items":[{"id":1},{"id":2},{"other":3}],"name":"Ada","none":null,"__proto__":{"x":1}}',
  ),
}
const vocabulary = {
  attributes: responseAttributes,
  authentication: authenticationMembers,
  vars: ['claimSet'],
}

/** Expression -> what it is, as JSON says it. */
const results: readonly (readonly [string, unknown])[] = [
  // Literals.
  ["'text'", 'text'],
  ['"te\\"xt"', 'te"xt'],
  ['`back`', 'back'],
  ["'\\u00e9\\n\\$'", 'é\n$'],
  ['12', 12],
  ['-1.5e2', -150],
  ['true', true],
  ['false', false],
  ["[1, 'a', [true]]", [1, 'a', [true]]],
  ['[]', []],
  ['null', null],
  ["{ a: 1, 'b c': [2], (lower('C')): 'x' }", { a: 1, 'b c': [2], c: 'x' }],
  // Selectors.
  ["attributes.headers['x-api-key']", 'abc'],
  ["attributes.headers['X-API-Key']", 'abc'],
  ['attributes.headers."x-api-key"', 'abc'],
  ['attributes.headers.authorization', 'Basic dXNlcjpwYXNz'],
  ["attributes.headers['nothing']", null],
  ["attributes.headers['nothing'].deeper[3]", null],
  ["attributes.queryParams['a b']", 'spaced'],
  ['attributes.queryParams.client_id', 'one'],
  ['attributes.clientAddress.ip', '192.0.2.7'],
  ['authentication.properties.claims.nested.deep[-1]', 2],
  ['vars.claimSet.aud[0]', 'a'],
  ['vars.claimSet.aud[7]', null],
  ["'word'[0]", 'w'],
  ["'word'[-1]", 'd'],
  ['payload.items.id', [1, 2, null]],
  ['payload.name', 'Ada'],
  ["payload['na' ++ 'me']", 'Ada'],
  ['payload.toString', null],
  ['payload.__proto__.x', 1],
  // Operators, and how they bind.
  ["'a' == 'a'", true],
  ["1 == '1'", false],
  ['[1, [2]] == [1, [2]]', true],
  ['payload.items[0] == { id: 1 }', true],
  ['payload.none == null', true],
  ["attributes.method != 'POST'", true],
  ['2 < 10 and 10 >= 10', true],
  ["'b' > 'a'", true],
  ['not false and false', false],
  ['! (true and false)', true],
  ['true or false and false', true],
  ["'a' ++ 'b' == 'ab'", true],
  ["attributes.method == 'GET' or attributes.method == 'HEAD'", true],
  ["attributes.headers['nothing'] default 'anonymous'", 'anonymous'],
  ["attributes.headers['empty'] default 'anonymous'", ''],
  ["'id-' ++ attributes.headers['nothing'] default 'x'", 'id-'],
  ["'n' ++ 1 ++ true", 'n1true'],
  ['[1] ++ [2, 3]', [1, 2, 3]],
  ['[200, 404] contains attributes.statusCode', true],
  ["attributes.headers['nothing'] default 'abc' contains 'b'", true],
  ["(attributes.requestPath contains 'x') or (attributes.requestPath contains '42')", true],
  // Conditions.
  ["if (attributes.method == 'GET') 'read' else 'write'", 'read'],
  ["if (false) 'a' else if (false) 'b' else 'c'", 'c'],
  ["'is ' ++ if (true) 'so' else 'not'", 'is so'],
  // Functions, before their operands and between them.
  ["contains('abc', 'b')", true],
  ["'abc' contains 'z'", false],
  ["contains(attributes.headers['nothing'], 'z')", false],
  ["lower('ABC') ++ upper('def')", 'abcDEF'],
  ["lower(attributes.headers['nothing'])", null],
  ["trim('  a b ')", 'a b'],
  ["splitBy(authentication.properties.claims.scope, ' ')[1]", 'write'],
  ["(attributes.requestPath splitBy '/')[-1]", '42'],
  ["sizeOf('four') == 4", true],
  ['sizeOf(payload.items)', 3],
  ['sizeOf(attributes.headers)', 3],
  ['sizeOf(payload.none)', 0],
  ["dw::core::Strings::substringAfter(attributes.headers.authorization, 'Basic ')", 'dXNlcjpwYXNz'],
  ["substringAfter('a-b-c', '-')", 'b-c'],
  ["substringAfterLast('a-b-c', '-')", 'c'],
  ["substringBefore('a-b-c', '-')", 'a'],
  ["substringBeforeLast('a-b-c', '-')", 'a-b'],
  ["substringAfter('abc', '-')", ''],
  ["substringBefore(attributes.headers.nothing, '-')", null],
  ["splitBy(dw::core::Binaries::fromBase64('dXNlcjpwYXNz'), ':')[0]", 'user'],
  ["dw::util::Coercions::toString(dw::core::Binaries::fromBase64('w6k='), 'UTF-8')", 'é'],
  ['sizeOf(uuid())', 36],
  // What surrounds them.
  ['%dw 2.0\noutput application/json\n---\n1', 1],
  ["%dw 2.0\nimport * from dw::core::Strings\n---\nsubstringAfter('a=b', '=')", 'b'],
  ['1 // one\n', 1],
  ['/* two */ 2', 2],
]

/** Expression -> what is said of it before any request. */
const refused: readonly (readonly [string, RegExp])[] = [
  ['', /^line 1, column 1: the expression is not complete$/],
  ['1 +', /^line 1, column 3: `\+` is not part of the subset/],
  ["'a", /^line 1, column 1: the string does not end$/],
  ["'\\q'", /^line 1, column 2: there is no such escape/],
  ["'a $(b)'", /column 4: an expression inside of a string.*Join strings with \+\+/],
  ['@', /^line 1, column 1: "@" means nothing here$/],
  ['(1', /column 3: `\)` is missing before the end$/],
  ['[1 2]', /column 4: `,` is missing before `2`$/],
  ['attributes.\nheaders.(x)', /^line 2, column 9/],
  ['attributes.body', /column 12: attributes has no body here \(there are clientAddress, headers,/],
  ['authentication.name', /authentication has no name here/],
  ['vars.other', /vars has no other here \(there are claimSet\)/],
  ['flow', /column 1: there is no variable flow \(there are attributes,/],
  ['lower', /there is no variable lower \(lower is a function: lower\(\.\.\.\)\)/],
  ["matches('a', 'b')", /column 1: there is no function matches in the subset/],
  ['payload map $', /column 13: "\$" means nothing here/],
  ["dw::core::Arrays::lower('A')", /there is no function dw::core::Arrays::lower/],
  ["contains('a')", /contains takes 2 arguments, not 1/],
  ["payload.a contains 'a' or payload.b contains 'b'", /a Boolean is needed, and this is a String \(and, or/],
  ["if ('x') 1 else 2", /a Boolean is needed/],
  ['if (true) 1', /`if` needs an `else`/],
  ['do { 1 }', /`do` is not part of the subset/],
  ['payload match 1', /`match` is not part of the subset/],
  ['var x = 1\n---\nx', /"=" means nothing here/],
  ['1 1', /column 3: `1` cannot stand here/],
  ["'".padEnd(longestExpression, 'a').concat("'"), /at most 16384 characters/],
  ['('.repeat(5000), /nest at most 200 deep/],
  [`payload${'.a'.repeat(3000)}`, /nest at most 200 deep/],
  [Array(3000).fill('1').join('++'), /nest at most 200 deep/],
  ['not '.repeat(3000).concat('true'), /nest at most 200 deep/],
]

/** Expression -> what fails while a request is in work. */
const failing: readonly (readonly [string, RegExp])[] = [
  ['attributes.headers.authorization and true', /a Boolean is needed, and this is a String/],
  ['payload.name < 3', /< does not compare String with Number/],
  ['payload.none < 3', /< does not compare Null with Number/],
  ['payload.name.first', /a String has no members that a String could name/],
  ['payload.items ++ payload.name', /\+\+ does not join an Array and a String/],
  ['lower(payload.items)', /a String is needed, and this is an Array/],
  ['sizeOf(12)', /a Number has no size/],
  ["fromBase64('%%%%')", /it is not Base64/],
]

suite('DataWeave expressions', () => {
  for (const [text, expected] of results) {
    test(`${text.replaceAll('\n', ' ')} is ${JSON.stringify(expected)}`, () => {
      assert.deepEqual(JSON.parse(JSON.stringify(plain(expression(text, vocabulary).value(scope)))), expected)
    })
  }

  for (const [text, message] of refused) {
    test(`${text.slice(0, 50).replaceAll('\n', ' ')} is refused before any request`, () => {
      const problem = expressionProblem(`#[${text}]`, vocabulary)
      assert.match(problem ?? 'it was taken', message)
    })
  }

  for (const [text, message] of failing) {
    test(`${text} fails for a request`, () => {
      assert.throws(
        () => expression(text, vocabulary).value(scope),
        (error: unknown) => error instanceof DataWeaveProblem && message.test(error.message),
      )
    })
  }

  test('a text is an expression between #[ and ] only', () => {
    assert.equal(textOrExpression('attributes.method').text(scope), 'attributes.method')
    assert.equal(textOrExpression(' #[attributes.method] ').text(scope), 'GET')
    assert.equal(textOrExpression('a #[attributes.method]').text(scope), 'a #[attributes.method]')
    assert.equal(expressionProblem('1 +'), undefined)
  })

  test('where a text is wanted null is none, and what is no text is its JSON', () => {
    const text = (of: string) => expression(of, vocabulary).text(scope)
    assert.equal(text('payload.none'), '')
    assert.equal(text('12'), '12')
    assert.equal(text('payload.items'), '[{"id":1},{"id":2},{"other":3}]')
    assert.equal(text("fromBase64('dXNlcg==')"), 'user')
  })

  test('where a condition is wanted nothing but true is', () => {
    const isTrue = (of: string) => expression(of, vocabulary).isTrue(scope)
    assert.equal(isTrue('true'), true)
    for (const text of ['false', 'payload.none', "'true'", '1', '[true]'])
      assert.equal(isTrue(text), false, text)
  })

  test('what it reads is known beforehand', () => {
    const reads = (of: string) => expression(of, vocabulary).reads
    assert.deepEqual(reads('attributes.method'), { payload: false, authentication: false })
    assert.deepEqual(reads('if (false) payload.a else 1'), { payload: true, authentication: false })
    assert.deepEqual(reads('authentication.clientId'), { payload: false, authentication: true })
  })

  test('variables of one policy are unknown to another', () => {
    assert.match(expressionProblem('#[vars.claimSet.sub]') ?? '', /vars has no claimSet here/)
    assert.match(expressionProblem('#[attributes.statusCode]') ?? '', /attributes has no statusCode here/)
  })

  test('a text that grows with each step is stopped', () => {
    const big = { ...scope, payload: 'x'.repeat(600_000), vars: nothing }
    assert.throws(() => expression('payload ++ payload').value(big), /at most 1048576 characters/)
    assert.throws(() => expression("splitBy(payload, 'x')").value(big), /10000 pieces at most/)
  })
})
