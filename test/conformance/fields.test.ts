/** Field lines of requests: RFC 9112 section 5, RFC 9110 section 5. */
import { fieldValue } from '../harness/message-reader.ts'
import { answered, forwarded, refused } from './outcomes.ts'
import { get, head, hostField, type Outcome, type WireCase } from './wire-case.ts'
import { wireSuite } from './wire-suite.ts'

const valuesOf = (name: string, ...wanted: string[]): Outcome =>
  forwarded({
    check: (request) => {
      const values = request.fields.filter((field) => field.lower === name).map((field) => field.value)
      return JSON.stringify(values) === JSON.stringify(wanted) ? null : `arrived as ${JSON.stringify(values)}`
    },
  })

/** The line may be left out; nothing of it may appear. */
const dropped = (trace: string): Outcome =>
  forwarded({
    label: 'dropped',
    check: (request) =>
      request.fields.some((field) => `${field.name}: ${field.value}`.includes(trace))
        ? 'part of the line arrived'
        : null,
  })

const lineCase = (id: string, line: string, title: string, accept: Outcome[]): WireCase => ({
  id: `field-${id}`,
  rule: 'RFC 9112 5',
  title: `${JSON.stringify(line.slice(0, 40))} ${title}`,
  steps: ({ path }) => head(`GET ${path} HTTP/1.1`, hostField, line, 'X-Last: 1'),
  accept,
})

const controls = [1, 2, 7, 8, 11, 12, 14, 27, 31, 127]

const badLines: WireCase[] = [
  ['space-before-colon', 'X-A : 1'],
  ['tab-before-colon', 'X-A\t: 1'],
  ['space-in-name', 'X A: 1'],
  ['no-name', ': 1'],
  ['space-name', ' : 1'],
  ['nul-in-name', 'X\x00A: 1'],
  ['paren-in-name', 'X(A): 1'],
  ['quote-in-name', 'X"A: 1'],
  ['slash-in-name', 'X/A: 1'],
  ['at-in-name', 'X@A: 1'],
  ['brackets-in-name', 'X[A]: 1'],
  ['comma-in-name', 'X,A: 1'],
  ['semicolon-in-name', 'X;A: 1'],
  ['equals-in-name', 'X=A: 1'],
  ['8-bit-name', 'X\xc4A: 1'],
  ['control-in-name', 'X\x01A: 1'],
  ['del-in-name', 'X\x7fA: 1'],
  ['no-colon', 'X-A 1'],
  ['word', 'word'],
  ['request-line', 'GET /hidden HTTP/1.1'],
  ['nul-in-value', 'X-A: a\x00b'],
  ['nul-at-end', 'X-A: a\x00'],
  ['nul-only', 'X-A: \x00'],
  ['cr-in-value', 'X-A: a\rb'],
  ['cr-at-start', 'X-A: \rb'],
  ['cr-field', 'X-A: a\rX-B: b'],
  ['cr-cr-lf', 'X-A: a\r'],
  ['cr-line', '\rX-A: a'],
].map(([id = '', line = '']) => ({
  ...lineCase(id, line, 'is refused, with all that follows', [refused()]),
  steps: ({ path, hidden }) => head(`GET ${path} HTTP/1.1`, hostField, line, 'X-Last: 1') + hidden,
}))

const controlValues: WireCase[] = controls.map((code) =>
  lineCase(
    `control-${code}`,
    `X-A: a${String.fromCharCode(code)}b`,
    'is refused, or the control is replaced',
    [
      refused(),
      forwarded({
        label: 'cleaned',
        check: (request) =>
          fieldValue(request, 'x-a')?.includes(String.fromCharCode(code))
            ? 'the control was passed on'
            : null,
      }),
    ],
  ),
)

const folds: WireCase[] = [
  ['space', 'X-A: a\r\n b', 'a b'],
  ['tab', 'X-A: a\r\n\tb', 'a b'],
  ['empty', 'X-A: a\r\n ', 'a'],
  ['three', 'X-A: a\r\n b\r\n c', 'a b c'],
  ['bare-lf', 'X-A: a\n b', 'a b'],
  ['field', 'X-A: a\r\n X-B: b', 'a X-B: b'],
].map(([id = '', line = '', joined = '']) =>
  lineCase(`fold-${id}`, line, 'is refused, or joined with a space', [refused(), valuesOf('x-a', joined)]),
)

const goodLines: WireCase[] = [
  lineCase('empty-value', 'X-A:', 'is passed on', [valuesOf('x-a', '')]),
  lineCase('no-space', 'X-A:a', 'is passed on', [valuesOf('x-a', 'a')]),
  lineCase('white-space-around', 'X-A: \t a \t ', 'loses the space around', [valuesOf('x-a', 'a')]),
  lineCase('white-space-inside', 'X-A: a  b\tc', 'keeps the space inside', [valuesOf('x-a', 'a  b\tc')]),
  lineCase('colons', 'X-A: a:b: c', 'is passed on', [valuesOf('x-a', 'a:b: c')]),
  lineCase('second-colon', 'X-A:: a', 'has the value ": a"', [valuesOf('x-a', ': a')]),
  lineCase('8-bit-value', 'X-A: \xc3\xa9\xff', 'is passed on byte for byte', [
    valuesOf('x-a', '\xc3\xa9\xff'),
  ]),
  lineCase('punctuation', `X-A: "'(),/:;<=>?@[\\]{}~|`, 'is passed on', [
    valuesOf('x-a', `"'(),/:;<=>?@[\\]{}~|`),
  ]),
  lineCase('token-name', "!#$%&'*+-.^`|~09: 1", 'is a name', [valuesOf("!#$%&'*+-.^`|~09", '1')]),
  lineCase('long-value', `X-A: ${'v'.repeat(7000)}`, 'is passed on', [valuesOf('x-a', 'v'.repeat(7000))]),
  lineCase('long-name', `X-${'n'.repeat(500)}: 1`, 'is passed on', [valuesOf(`x-${'n'.repeat(500)}`, '1')]),
  lineCase('proto', '__proto__: 1', 'is only a name', [valuesOf('__proto__', '1'), dropped('__proto__')]),
  lineCase('constructor', 'constructor: 1', 'is only a name', [valuesOf('constructor', '1')]),
  lineCase('to-string', 'toString: 1', 'is only a name', [valuesOf('tostring', '1')]),
  lineCase('digits', '123: 1', 'is only a name', [valuesOf('123', '1')]),
  lineCase('underscore', 'X_A: 1', 'is passed on, or dropped', [valuesOf('x_a', '1'), dropped('X_A')]),
]

const order: WireCase[] = [
  {
    id: 'repeated',
    rule: 'RFC 9110 5.3',
    title: 'repeated fields keep their order and number',
    steps: ({ path }) => get(path, 'X-A: 1', 'X-B: 2', 'X-A: 3', 'x-a: 4'),
    accept: [valuesOf('x-a', '1', '3', '4'), valuesOf('x-a', '1, 3, 4')],
  },
  {
    id: 'cookies',
    rule: 'RFC 6265 5.4',
    title: 'two Cookie fields are not joined with a comma',
    steps: ({ path }) => get(path, 'Cookie: a=1', 'Cookie: b=2'),
    accept: [valuesOf('cookie', 'a=1', 'b=2'), valuesOf('cookie', 'a=1; b=2'), refused()],
  },
  {
    id: 'authorization-twice',
    rule: 'RFC 9110 5.3',
    title: 'two Authorization fields are both there or refused',
    steps: ({ path }) => get(path, 'Authorization: Basic YTpi', 'Authorization: Basic Yzpk'),
    accept: [valuesOf('authorization', 'Basic YTpi', 'Basic Yzpk'), refused({ open: true })],
  },
  {
    id: 'nothing-added',
    rule: 'transparency',
    title: 'beside X-Real-IP and X-Forwarded-*, the upstream sees only what the client sent',
    steps: ({ path }) => get(path, 'X-A: 1', 'Accept: */*', 'User-Agent: wire', 'Accept-Encoding: gzip'),
    accept: [
      forwarded({
        check: (request) => {
          const sent =
            /^(host|x-a|accept|user-agent|accept-encoding|connection|x-real-ip|x-forwarded-(for|proto|host|port))$/
          const added = request.fields.filter((field) => !sent.test(field.lower)).map((field) => field.name)
          if (added.length > 0) return `added ${added.join(', ')}`
          return request.fields.length >= 5 ? null : 'something is missing'
        },
      }),
    ],
  },
  {
    id: 'nothing-added-down',
    rule: 'transparency',
    title: "the upstream's Server and Date are kept, nothing else is added to its answer",
    steps: ({ path }) => get(path),
    upstream: {
      onRequest: (_request, connection) =>
        connection.send(
          'HTTP/1.1 200 OK\r\nX-Origin: 1\r\nServer: origin/1\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n',
        ),
    },
    accept: [
      forwarded({
        check: (_request, answer) => {
          const names = answer.fields.map((field) => field.lower).filter((name) => name !== 'connection')
          const wanted = 'content-length,date,server,x-a,x-origin'
          if (names.sort().join() !== wanted) return `fields ${names.join()}`
          if (fieldValue(answer, 'server') !== 'origin/1') return `Server ${fieldValue(answer, 'server')}`
          return fieldValue(answer, 'date')?.startsWith('Tue, 01 Jan 2030') ? null : 'Date was changed'
        },
      }),
    ],
  },
]

const gatewayDuties: WireCase[] = [
  {
    id: 'date-added',
    rule: 'RFC 9110 6.6.1',
    title: 'an answer without Date gets one',
    steps: ({ path }) => get(path),
    accept: [
      forwarded({
        check: (_request, answer) => {
          const date = fieldValue(answer, 'date')
          if (date === undefined) return 'no Date'
          return Math.abs(Date.parse(date) - Date.now()) < 60_000 ? null : `Date: ${date}`
        },
      }),
    ],
  },
  {
    id: 'max-forwards-0',
    rule: 'RFC 9110 7.6.2',
    title: 'OPTIONS with Max-Forwards: 0 is answered here',
    methods: ['OPTIONS'],
    steps: ({ path }) => head(`OPTIONS ${path} HTTP/1.1`, hostField, 'Max-Forwards: 0'),
    accept: [
      answered(
        () => true,
        (_answer, run) => (run.requests.length === 0 ? null : 'it was passed on'),
      ),
    ],
  },
  {
    id: 'max-forwards-7',
    rule: 'RFC 9110 7.6.2',
    title: 'OPTIONS with Max-Forwards: 7 goes on with 6',
    methods: ['OPTIONS'],
    steps: ({ path }) => head(`OPTIONS ${path} HTTP/1.1`, hostField, 'Max-Forwards: 7'),
    accept: [valuesOf('max-forwards', '6')],
  },
  {
    id: 'max-forwards-get',
    rule: 'RFC 9110 7.6.2',
    title: 'Max-Forwards of a GET means nothing',
    steps: ({ path }) => get(path, 'Max-Forwards: 0'),
    accept: [forwarded()],
  },
]

const sectionEnds: WireCase[] = [
  {
    id: 'end-lf-lf',
    rule: 'RFC 9112 2.2',
    title: 'a head with bare LF line ends is refused or made clean',
    steps: ({ path }) => `GET ${path} HTTP/1.1\n${hostField}\nX-A: 1\n\n`,
    accept: [refused(), forwarded()],
  },
  {
    id: 'end-crlf-lf',
    rule: 'RFC 9112 2.2',
    title: 'a head ended by CRLF LF is refused or made clean',
    steps: ({ path }) => `GET ${path} HTTP/1.1\r\n${hostField}\r\n\n`,
    accept: [refused(), forwarded()],
  },
  {
    id: 'end-lf-crlf',
    rule: 'RFC 9112 2.2',
    title: 'a head ended by LF CRLF is refused or made clean',
    steps: ({ path }) => `GET ${path} HTTP/1.1\r\n${hostField}\n\r\n`,
    accept: [refused(), forwarded()],
  },
  {
    id: 'end-cr-cr',
    rule: 'RFC 9112 2.2',
    title: 'CR alone never ends a head',
    steps: ({ path }) => `GET ${path} HTTP/1.1\r\n${hostField}\r\r`,
    accept: [refused()],
    within: 3500,
  },
  {
    id: 'end-space',
    rule: 'RFC 9112 2.2',
    title: 'a line of one space does not end a head',
    steps: ({ path }) => `GET ${path} HTTP/1.1\r\n${hostField}\r\n \r\n`,
    accept: [refused()],
    within: 3500,
  },
  {
    id: 'end-lf-in-value',
    rule: 'RFC 9112 2.2',
    title: 'a bare LF followed by a field line hides nothing',
    steps: ({ path }) => `GET ${path} HTTP/1.1\r\n${hostField}\r\nX-A: a\nX-Forwarded-For: 6.6.6.6\r\n\r\n`,
    accept: [
      refused(),
      forwarded({ check: (r) => (fieldValue(r, 'x-forwarded-for')?.includes('6.6.6.6') ? 'spoofed' : null) }),
    ],
  },
  {
    id: 'end-lf-lf-hidden',
    rule: 'RFC 9112 2.2',
    title: 'LF LF inside a value starts no hidden request',
    steps: ({ path }) =>
      `GET ${path} HTTP/1.1\r\n${hostField}\r\nX-A: a\n\nGET ${path}/hidden HTTP/1.1\r\n${hostField}\r\n\r\n`,
    methods: ['GET', 'GET'],
    accept: [refused(), forwarded({ label: 'LF read as line end throughout', count: 2 })],
    except: ['smuggled'],
  },
]

wireSuite('fields', [
  ...badLines,
  ...controlValues,
  ...folds,
  ...goodLines,
  ...order,
  ...gatewayDuties,
  ...sectionEnds,
])
