import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { ProtoDefinitions } from './definitions.ts'
import { readProto } from './proto-content.ts'

function definitions(content: string): ProtoDefinitions {
  const read = readProto(content)
  assert.ok('definitions' in read, JSON.stringify(read))
  return read.definitions
}

function problem(content: string): string {
  const read = readProto(content)
  assert.ok('problem' in read)
  return read.problem
}

const text = `syntax = "proto3";
package shop.v1;
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
service Shop {
  rpc Get (Query) returns (Item) {
    option (google.api.http) = {
      get: "/v1/{name=items/*}"
      additional_bindings { post: "/v1/find" body: "*" }
      additional_bindings { custom: { kind: "head" path: "/v1/there" } }
    };
  }
  rpc Watch (stream Query) returns (stream Item);
}
message Query { string name = 1; optional int32 most = 2; oneof by { string color = 3; Kind kind = 4; } }
enum Kind { ANY = 0; OTHER = 7; }
message Item {
  message Part { bytes raw = 1; }
  map<string, Part> parts = 1;
  repeated sint64 numbers = 2;
  repeated string words = 3;
  google.protobuf.Timestamp at = 4;
  repeated bool flags = 5 [packed = false];
}`

suite('the text of a .proto file', () => {
  test('messages, enums and services are found under their whole names', () => {
    const { messages, enums, services } = definitions(text)
    assert.deepEqual(
      messages.map(({ name }) => name),
      ['shop.v1.Query', 'shop.v1.Item', 'shop.v1.Item.Part', 'google.protobuf.Timestamp'],
    )
    assert.deepEqual(messages[0]!.fields, [
      { name: 'name', id: 1, type: 'string' },
      { name: 'most', id: 2, type: 'int32', hasPresence: true },
      { name: 'color', id: 3, type: 'string', hasPresence: true },
      { name: 'kind', id: 4, type: 'enum', of: 'shop.v1.Kind', hasPresence: true },
    ])
    assert.deepEqual(messages[1]!.fields, [
      { name: 'parts', id: 1, type: 'message', of: 'shop.v1.Item.Part', key: 'string' },
      { name: 'numbers', id: 2, type: 'sint64', isRepeated: true, isPacked: true },
      { name: 'words', id: 3, type: 'string', isRepeated: true },
      { name: 'at', id: 4, type: 'message', of: 'google.protobuf.Timestamp', hasPresence: true },
      { name: 'flags', id: 5, type: 'bool', isRepeated: true },
    ])
    assert.deepEqual(enums, [
      {
        name: 'shop.v1.Kind',
        values: [
          ['ANY', 0],
          ['OTHER', 7],
        ],
      },
    ])
    assert.deepEqual(services, [
      {
        name: 'shop.v1.Shop',
        methods: [
          {
            name: 'Get',
            input: 'shop.v1.Query',
            output: 'shop.v1.Item',
            http: [
              { method: 'GET', path: '/v1/{name=items/*}' },
              { method: 'POST', path: '/v1/find', body: '*' },
              { method: 'HEAD', path: '/v1/there' },
            ],
          },
          {
            name: 'Watch',
            input: 'shop.v1.Query',
            output: 'shop.v1.Item',
            streamsInput: true,
            streamsOutput: true,
          },
        ],
      },
    ])
  })

  test('proto2 has defaults, presence and no packing', () => {
    const [message] = definitions(
      'message A { required int32 a = 1 [default = 5]; repeated int32 b = 2; optional string c = 3 [default = "x"]; }',
    ).messages
    assert.equal(message!.isProto3, false)
    assert.deepEqual(message!.fields, [
      { name: 'a', id: 1, type: 'int32', hasPresence: true, fallback: 5 },
      { name: 'b', id: 2, type: 'int32', isRepeated: true },
      { name: 'c', id: 3, type: 'string', hasPresence: true, fallback: 'x' },
    ])
  })

  test('what is wrong with it is said, with its line', () => {
    assert.match(problem('syntax = "proto3";\nmessage A {\n  int32 a 1;\n}'), /line 3/)
    assert.match(problem('syntax = "proto3"; message A { int32 a = 1; int32 b = 1; }'), /duplicate id 1/)
    assert.match(problem('syntax = "proto3"; message A { Nothing a = 1; }'), /Nothing/)
    assert.match(
      problem('import "other.proto"; message A {}'),
      /it imports other\.proto: .*--include_imports/,
    )
    assert.match(problem(`syntax = "proto3"; ${'message A {'.repeat(5000)}`), /depth|illegal/)
  })

  test('names that JavaScript has for itself are names like any other', () => {
    const { messages } = definitions(
      'syntax = "proto3"; message constructor { string hasOwnProperty = 1; } message toString {}',
    )
    assert.deepEqual(
      messages.map(({ name }) => name),
      ['constructor', 'toString'],
    )
  })

  test('reading ends, whatever the text', () => {
    assert.match(problem(`syntax = "proto3"; option a = "${'\\"'.repeat(400_000)}`), /longer than 2 seconds/)
  })
})

suite('a descriptor set', () => {
  /** What `protoc --include_imports --descriptor_set_out` makes, out of (number, value) pairs. */
  type Pairs = readonly (readonly [id: number, value: string | number | Buffer])[]
  function message(pairs: Pairs): Buffer {
    return Buffer.concat(
      pairs.flatMap(([id, value]) => {
        if (typeof value === 'number') return [varint(id << 3), varint(value)]
        const bytes = typeof value === 'string' ? Buffer.from(value) : value
        return [varint(id * 8 + 2), varint(bytes.length), bytes]
      }),
    )
  }
  function varint(value: number): Buffer {
    const bytes: number[] = []
    for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128)
    return Buffer.from([...bytes, value])
  }

  const entry = message([
    [1, 'MembersEntry'],
    [
      2,
      message([
        [1, 'key'],
        [3, 1],
        [4, 1],
        [5, 9],
      ]),
    ],
    [
      2,
      message([
        [1, 'value'],
        [3, 2],
        [4, 1],
        [5, 11],
        [6, '.t.Reply'],
      ]),
    ],
    [7, message([[7, 1]])],
  ])
  const reply = message([
    [1, 'Reply'],
    [
      2,
      message([
        [1, 'msg'],
        [3, 1],
        [4, 1],
        [5, 9],
      ]),
    ],
    [
      2,
      message([
        [1, 'items'],
        [3, 2],
        [4, 3],
        [5, 5],
      ]),
    ],
    [
      2,
      message([
        [1, 'members'],
        [3, 3],
        [4, 3],
        [5, 11],
        [6, '.t.Reply.MembersEntry'],
      ]),
    ],
    [
      2,
      message([
        [1, 'maybe'],
        [3, 4],
        [4, 1],
        [5, 14],
        [6, '.t.E'],
        [9, 0],
        [17, 1],
      ]),
    ],
    [3, entry],
    [8, message([[1, '_maybe']])],
  ])
  const http = message([
    [4, '/v1/{msg}'],
    [7, '*'],
    [11, message([[2, '/v1/x']])],
  ])
  const file = message([
    [1, 'a.proto'],
    [2, 't'],
    [4, reply],
    [
      5,
      message([
        [1, 'E'],
        [
          2,
          message([
            [1, 'ZERO'],
            [2, 0],
          ]),
        ],
      ]),
    ],
    [
      6,
      message([
        [1, 'S'],
        [
          2,
          message([
            [1, 'M'],
            [2, '.t.Reply'],
            [3, '.t.Reply'],
            [4, message([[72295728, http]])],
          ]),
        ],
      ]),
    ],
    [12, 'proto3'],
  ])

  test('says the same as a text', () => {
    const base64 = message([[1, file]]).toString('base64')
    const same = definitions(`syntax = "proto3"; package t;
      service S { rpc M (Reply) returns (Reply) {
        option (google.api.http) = { post: "/v1/{msg}" body: "*" additional_bindings { get: "/v1/x" } };
      } }
      enum E { ZERO = 0; }
      message Reply { string msg = 1; repeated int32 items = 2; map<string, Reply> members = 3; optional E maybe = 4; }`)
    assert.deepEqual(definitions(base64), same)
    assert.deepEqual(definitions(base64.replace(/.{60}/g, '$&\n')), same)
  })

  test('that is none is told of', () => {
    assert.match(problem('aGVsbG8='), /neither a text nor a descriptor set in Base64/)
    const broken = message([[1, file]]).subarray(0, 40)
    assert.match(problem(broken.toString('base64')), /breaks off/)
    let deep = message([[1, 'A']])
    for (let i = 0; i < 50; i++)
      deep = message([
        [1, 'A'],
        [3, deep],
      ])
    assert.match(problem(message([[1, message([[4, deep]])]]).toString('base64')), /too deeply/)
  })
})
