/** Fields that end at the gateway, in both directions: RFC 9110 section 7.6.1. */
import { fieldValue } from '../harness/message-reader.ts'
import { answered, both, forwarded, fromOrigin, refused, that } from './outcomes.ts'
import { chunked, get, head, hostField, type Outcome, post, type WireCase } from './wire-case.ts'
import { wireSuite } from './wire-suite.ts'

/** The request arrives without these fields. */
const without = (...names: string[]): Outcome =>
  forwarded({
    check: (request) => {
      const left = names.filter((name) => fieldValue(request, name) !== undefined)
      if (left.length > 0) return `${left.map((name) => `${name}: ${fieldValue(request, name)}`)} arrived`
      const nominated = (fieldValue(request, 'connection') ?? '').toLowerCase().split(/[, ]+/)
      const named = names.filter((name) => nominated.includes(name))
      return named.length > 0 ? `Connection still names ${named}` : null
    },
  })

const withField = (name: string, wanted: string | RegExp): Outcome =>
  forwarded({
    check: (request) => {
      const value = fieldValue(request, name)
      const fits = typeof wanted === 'string' ? value === wanted : wanted.test(value ?? '')
      return fits ? null : `${name} arrived as ${value}`
    },
  })

const requestCase = (id: string, title: string, fields: string[], accept: Outcome[]): WireCase => ({
  id: `hop-${id}`,
  rule: 'RFC 9110 7.6.1',
  title,
  steps: ({ path }) => get(path, ...fields),
  accept,
})

const nominated: WireCase[] = [
  requestCase('one', 'a nominated field', ['Connection: X-Secret', 'X-Secret: 1'], [without('x-secret')]),
  requestCase(
    'before',
    'a nominated field before Connection',
    ['X-Secret: 1', 'Connection: X-Secret'],
    [without('x-secret')],
  ),
  requestCase(
    'case',
    'letter case does not matter',
    ['Connection: x-sEcReT', 'X-Secret: 1'],
    [without('x-secret')],
  ),
  requestCase(
    'list',
    'among others',
    ['Connection: keep-alive , X-A,X-B', 'X-A: 1', 'X-B: 2'],
    [without('x-a', 'x-b')],
  ),
  requestCase(
    'lines',
    'in several Connection lines',
    ['Connection: X-A', 'X-A: 1', 'Connection: X-B', 'X-B: 2'],
    [without('x-a', 'x-b')],
  ),
  requestCase('all', 'every occurrence', ['X-A: 1', 'Connection: X-A', 'x-a: 2', 'X-A: 3'], [without('x-a')]),
  requestCase(
    'empty-elements',
    'empty list elements',
    ['Connection: ,, X-A,, ,', 'X-A: 1'],
    [without('x-a')],
  ),
  requestCase(
    'tabs',
    'tabs around the element',
    ['Connection:\tX-A\t,\tkeep-alive', 'X-A: 1'],
    [without('x-a')],
  ),
  requestCase(
    'absent',
    'a field that is not there',
    ['Connection: X-Nothing', 'X-A: 1'],
    [withField('x-a', '1')],
  ),
  requestCase(
    'many',
    'fifty of them',
    [
      `Connection: ${Array.from({ length: 50 }, (_, i) => `X-${i}`).join(', ')}`,
      'X-0: a',
      'X-49: b',
      'X-50: c',
    ],
    [without('x-0', 'x-49')],
  ),
  requestCase('close', 'beside close', ['Connection: close, X-A', 'X-A: 1'], [without('x-a')]),
  requestCase(
    'prefix',
    'a name that only begins like it stays',
    ['Connection: X-A', 'X-A: 1', 'X-AB: 2'],
    [both(without('x-a'), withField('x-ab', '2'))],
  ),
  requestCase(
    'itself',
    'Connection naming itself',
    ['Connection: connection, X-A', 'X-A: 1'],
    [without('x-a')],
  ),
  requestCase('te', 'TE with its nomination', ['Connection: TE', 'TE: gzip'], [without('te')]),
  requestCase(
    'cookie',
    'Cookie may be nominated or the request refused',
    ['Connection: Cookie', 'Cookie: a=1'],
    [forwarded(), refused()],
  ),
  requestCase(
    'junk',
    'junk in Connection is refused or ignored',
    ['Connection: @@@, "x", X-A', 'X-A: 1'],
    [without('x-a'), refused()],
  ),
  requestCase(
    'quoted',
    'a quoted name is no name',
    ['Connection: "X-A"', 'X-A: 1'],
    [forwarded(), refused()],
  ),
  requestCase('empty', 'an empty Connection', ['Connection:', 'X-A: 1'], [withField('x-a', '1')]),
]

const standard: WireCase[] = [
  requestCase(
    'keep-alive',
    'Keep-Alive',
    ['Connection: keep-alive', 'Keep-Alive: timeout=9'],
    [without('keep-alive')],
  ),
  requestCase(
    'keep-alive-alone',
    'Keep-Alive without nomination',
    ['Keep-Alive: timeout=9'],
    [without('keep-alive')],
  ),
  requestCase(
    'proxy-connection',
    'Proxy-Connection',
    ['Proxy-Connection: keep-alive'],
    [without('proxy-connection')],
  ),
  requestCase('te-gzip', 'TE: gzip', ['TE: gzip'], [without('te')]),
  requestCase(
    'te-deflate',
    'TE: trailers, deflate loses deflate',
    ['TE: trailers, deflate;q=0.5', 'Connection: TE'],
    [withField('te', /^trailers$/), without('te')],
  ),
  requestCase(
    'te-trailers',
    'TE: trailers is kept or removed',
    ['TE: trailers', 'Connection: TE'],
    [without('te'), withField('te', 'trailers')],
  ),
  requestCase('upgrade', 'Upgrade without nomination', ['Upgrade: foo/2'], [without('upgrade')]),
  requestCase(
    'upgrade-unknown',
    'Upgrade of an unknown protocol',
    ['Connection: Upgrade', 'Upgrade: foo/2'],
    [without('upgrade'), refused({ open: true })],
  ),
  requestCase(
    'upgrade-nominated',
    'Connection: upgrade without Upgrade',
    ['Connection: upgrade'],
    [
      forwarded({
        check: (r) => (/upgrade/i.test(fieldValue(r, 'connection') ?? '') ? 'upgrade is passed on' : null),
      }),
    ],
  ),
  requestCase(
    'http2-settings',
    'HTTP2-Settings',
    ['HTTP2-Settings: AAMAAABkAAQAAP__'],
    [without('http2-settings')],
  ),
  requestCase(
    'h2c',
    'an h2c upgrade',
    ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'],
    [without('upgrade', 'http2-settings'), refused({ open: true })],
  ),
  requestCase(
    'proxy-authorization',
    'Proxy-Authorization',
    ['Proxy-Authorization: Basic eDp5'],
    [without('proxy-authorization')],
  ),
  requestCase('trailer', 'Trailer without a chunked body', ['Trailer: X-Sum'], [forwarded()]),
  requestCase(
    'close-not-passed',
    "the client's close is not the upstream's",
    ['Connection: close'],
    [forwarded({ close: true })],
  ),
  requestCase(
    'keep-alive-token',
    'the keep-alive token is ours to send',
    ['Connection: keep-alive, foo'],
    [
      forwarded({
        check: (r) => (/foo/i.test(fieldValue(r, 'connection') ?? '') ? 'foo is passed on' : null),
      }),
    ],
  ),
]

const spoofs = ['X-Forwarded-For', 'X-Real-IP', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'X-Forwarded-Port']

const protectedFields: WireCase[] = [
  ...['X-Forwarded-For', 'X-Real-IP'].map((name) =>
    requestCase(
      `nominate-${name.toLowerCase()}`,
      `${name} cannot be nominated away`,
      [`Connection: close, ${name}`, `${name}: 6.6.6.6`],
      [withField(name, '127.0.0.1'), refused()],
    ),
  ),
  requestCase(
    'nominate-all-forwarded',
    'nor all of them together, in odd letter case',
    [`Connection: ${spoofs.map((name) => name.toUpperCase()).join(',')}`],
    [
      both(
        withField('x-forwarded-for', '127.0.0.1'),
        withField('x-real-ip', '127.0.0.1'),
        withField('x-forwarded-proto', 'http'),
      ),
      refused(),
    ],
  ),
  requestCase(
    'nominate-host',
    'Host cannot be nominated away',
    ['Connection: Host'],
    [withField('host', 'wire.test'), refused()],
  ),
  requestCase(
    'nominate-authorization',
    'Authorization cannot be nominated away',
    ['Connection: Authorization', 'Authorization: Basic eDp5'],
    [withField('authorization', 'Basic eDp5'), refused()],
  ),
  {
    id: 'hop-nominate-length',
    rule: 'RFC 9110 7.6.1',
    title: 'Content-Length cannot be nominated away',
    methods: ['POST'],
    steps: ({ path, hidden }) => post(path, hidden, 'Connection: Content-Length'),
    accept: [forwarded({ check: (r) => (r.bodyBytes > 0 ? null : 'the body was lost') }), refused()],
  },
  {
    id: 'hop-nominate-chunked',
    rule: 'RFC 9110 7.6.1',
    title: 'Transfer-Encoding cannot be nominated away',
    methods: ['POST'],
    steps: ({ path, hidden }) =>
      head(
        `POST ${path} HTTP/1.1`,
        hostField,
        'Connection: Transfer-Encoding',
        'Transfer-Encoding: chunked',
      ) + chunked(hidden),
    accept: [forwarded({ check: (r) => (r.bodyBytes > 0 ? null : 'the body was lost') }), refused()],
  },
  {
    id: 'hop-nominate-expect',
    rule: 'RFC 9110 7.6.1',
    title: 'nominating Expect does not hang the request',
    methods: ['POST'],
    steps: ({ path }) => [
      head(
        `POST ${path} HTTP/1.1`,
        hostField,
        'Content-Length: 5',
        'Expect: 100-continue',
        'Connection: Expect',
      ),
      { wait: 150 },
      'hello',
    ],
    accept: [forwarded({ body: 'hello' }), refused()],
  },
]

const spoofed: WireCase[] = [
  ...[
    ...spoofs,
    'x-forwarded-for',
    'X_Forwarded_For',
    'X-Forwarded_For',
    'X_Real_IP',
    'Forwarded',
    'X-Forwarded-Prefix',
    'X-Forwarded-Server',
    'X-Consumer-Username',
    'X-Consumer-Custom-Id',
    'X-Credential-Identifier',
    'X_Consumer_Username',
  ].map(
    (name, index): WireCase => ({
      id: `spoof-${index}-${name.toLowerCase()}`,
      rule: 'RFC 7239 8.1',
      title: `${name} of a stranger is not believed`,
      steps: ({ path }) => get(path, `${name}: 6.6.6.6`),
      accept: [
        forwarded({
          check: (request) => {
            const kept = request.fields.filter((field) => field.value.includes('6.6.6.6'))
            return kept.length > 0 ? `${kept.map((field) => field.name)} was passed on` : null
          },
        }),
      ],
    }),
  ),
  {
    id: 'spoof-lines',
    rule: 'RFC 7239 8.1',
    title: 'several X-Forwarded-For lines are all replaced by one',
    steps: ({ path }) =>
      get(path, 'X-Forwarded-For: 6.6.6.6', 'X-Forwarded-For: 127.0.0.1, 6.6.6.6', 'x-forwarded-for:'),
    accept: [withField('x-forwarded-for', '127.0.0.1')],
  },
  {
    id: 'forwarded-fields',
    rule: 'APISIX',
    title: 'X-Real-IP and the four X-Forwarded fields are set',
    steps: ({ path }) => get(path),
    accept: [
      both(
        withField('x-real-ip', '127.0.0.1'),
        withField('x-forwarded-for', '127.0.0.1'),
        withField('x-forwarded-proto', 'http'),
        withField('x-forwarded-host', 'wire.test'),
        withField('x-forwarded-port', /^\d+$/),
      ),
    ],
  },
]

const answerWithout = (...names: string[]): Outcome =>
  forwarded({
    check: (_request, answer) => {
      const left = names.filter((name) => fieldValue(answer, name) !== undefined)
      return left.length > 0 ? `${left} reached the client` : null
    },
  })

const responseCase = (id: string, title: string, fields: string[], accept: Outcome[]): WireCase => ({
  id: `hop-down-${id}`,
  rule: 'RFC 9110 7.6.1',
  title,
  steps: ({ path }) => get(path),
  upstream: {
    onRequest: (_request, connection) =>
      connection.send(`${head('HTTP/1.1 200 OK', 'X-Origin: 1', 'Content-Length: 5', ...fields)}hello`),
  },
  accept,
})

const responses: WireCase[] = [
  responseCase(
    'one',
    'a nominated field of the answer',
    ['Connection: X-Secret', 'X-Secret: 1'],
    [answerWithout('x-secret')],
  ),
  responseCase(
    'before',
    'before Connection',
    ['X-Secret: 1', 'Connection: keep-alive, x-secret'],
    [answerWithout('x-secret')],
  ),
  responseCase(
    'lines',
    'in two lines',
    ['Connection: X-A', 'X-A: 1', 'X-B: 1', 'Connection: X-B'],
    [answerWithout('x-a', 'x-b')],
  ),
  responseCase('close', 'beside close', ['Connection: close, X-A', 'X-A: 1'], [answerWithout('x-a')]),
  responseCase('keep-alive', 'Keep-Alive', ['Keep-Alive: timeout=5'], [answerWithout('keep-alive')]),
  responseCase(
    'proxy-connection',
    'Proxy-Connection',
    ['Proxy-Connection: keep-alive'],
    [answerWithout('proxy-connection')],
  ),
  responseCase(
    'upgrade',
    'Upgrade as an offer',
    ['Connection: Upgrade', 'Upgrade: h2c'],
    [answerWithout('upgrade')],
  ),
  responseCase(
    'upgrade-alone',
    'Upgrade without nomination',
    ['Upgrade: h2,h2c'],
    [answerWithout('upgrade')],
  ),
  responseCase('te', 'TE in an answer', ['TE: trailers'], [answerWithout('te')]),
  responseCase(
    'nominate-length',
    'Content-Length cannot be nominated away',
    ['Connection: Content-Length'],
    [
      forwarded({
        check: (_r, answer) => (answer.body.toString('latin1') === 'hello' ? null : 'the body was lost'),
      }),
      answered([502]),
    ],
  ),
  responseCase(
    'connection-tokens',
    "the upstream's tokens stop here",
    ['Connection: foo, keep-alive'],
    [
      forwarded({
        check: (_r, answer) =>
          /foo/i.test(fieldValue(answer, 'connection') ?? '') ? 'foo is passed on' : null,
      }),
    ],
  ),
  responseCase(
    'set-cookies',
    'three Set-Cookie fields stay three',
    ['Set-Cookie: a=1', 'Set-Cookie: b=2', 'Set-Cookie: c=3'],
    [
      forwarded({
        check: (_r, answer) => {
          const cookies = answer.fields
            .filter((field) => field.lower === 'set-cookie')
            .map((field) => field.value)
          return cookies.join('|') === 'a=1|b=2|c=3' ? null : cookies.join('|')
        },
      }),
    ],
  ),
  {
    id: 'hop-down-close-obeyed',
    rule: 'RFC 9112 9.6',
    title: "the upstream's close does not close the client's connection, and is obeyed",
    methods: ['GET', 'GET'],
    steps: ({ path }) => [get(`${path}/1`), { answers: 1 }, get(`${path}/2`)],
    upstream: {
      onRequest: (_request, connection) =>
        connection.send('HTTP/1.1 200 OK\r\nX-Origin: 1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'),
    },
    accept: [
      forwarded({
        count: 2,
        check: (_request, _answer, run) =>
          new Set(run.requests.map((request) => request.connection)).size === 2
            ? null
            : 'the closing connection was used again',
      }),
    ],
  },
  {
    id: 'hop-down-nominate-chunked',
    rule: 'RFC 9110 7.6.1',
    title: 'Transfer-Encoding of an answer cannot be nominated away',
    steps: ({ path }) => get(path),
    upstream: {
      onRequest: (_request, connection) =>
        connection.send(
          `${head('HTTP/1.1 200 OK', 'X-Origin: 1', 'Connection: Transfer-Encoding', 'Transfer-Encoding: chunked')}${chunked('hello')}`,
        ),
    },
    accept: [
      that('whole or refused', (run) => {
        const [answer] = run.client.answers
        if (!answer) return 'no answer'
        return !fromOrigin(answer) || answer.body.toString('latin1') === 'hello' ? null : 'the body is wrong'
      }),
    ],
  },
]

wireSuite('hop by hop', [...nominated, ...standard, ...protectedFields, ...spoofed, ...responses])
