/** Request lines and Host: RFC 9112 sections 2.2, 2.3 and 3. */
import { fieldValue } from '../harness/message-reader.ts'
import { answered, forwarded, refused, waiting } from './outcomes.ts'
import { get, head, hostField, type Outcome, type WireCase } from './wire-case.ts'
import { wireSuite } from './wire-suite.ts'

const methodKept = (method: string): Outcome =>
  forwarded({ check: (request) => (request.method === method ? null : `became ${request.method}`) })

const methods: WireCase[] = [
  ...['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'QUERY', 'PROPFIND', 'M-SEARCH'].map(
    (method): WireCase => ({
      id: `method-${method.toLowerCase()}`,
      rule: 'RFC 9110 9',
      title: `${method} is passed on`,
      methods: [method],
      steps: ({ path }) => head(`${method} ${path} HTTP/1.1`, hostField),
      accept: [methodKept(method)],
    }),
  ),
  ...['FOOBAR', 'get', 'Get', "!#$%&'*+-.^_`|~", 'X'.repeat(40)].map(
    (method, index): WireCase => ({
      id: `method-unknown-${index}`,
      rule: 'RFC 9110 9.1',
      title: `${method} is passed on as it is, or refused`,
      steps: ({ path }) => head(`${method} ${path} HTTP/1.1`, hostField),
      accept: [methodKept(method), refused({ codes: [400, 404, 405, 501], open: true })],
    }),
  ),
  ...[
    'GE T',
    'G(T',
    'G\x00T',
    'G\x7fT',
    'G\xc9T',
    'G\x0bT',
    'G:T',
    '"GET"',
    'G/T',
    'GET,',
    '<GET>',
    '',
    'G\tT',
  ].map(
    (method, index): WireCase => ({
      id: `method-bad-${index}`,
      rule: 'RFC 9110 5.6.2',
      title: `${JSON.stringify(method)} is not a token`,
      steps: ({ path, hidden }) => head(`${method} ${path} HTTP/1.1`, hostField) + hidden,
      accept: [refused()],
    }),
  ),
  {
    id: 'method-endless',
    rule: 'RFC 9112 3',
    title: 'a method of 64 KiB is cut off',
    steps: ({ path }) => head(`${'A'.repeat(65536)} ${path} HTTP/1.1`, hostField),
    accept: [refused()],
  },
  {
    id: 'trace',
    rule: 'RFC 9110 9.3.8',
    title: 'TRACE is off: it would echo what the gateway adds',
    methods: ['TRACE'],
    steps: ({ path }) => head(`TRACE ${path} HTTP/1.1`, hostField, 'Cookie: secret=1'),
    accept: [refused({ codes: [400, 404, 405, 501], open: true })],
  },
  ...['wire.test:443', 'wire.test', '/path', 'http://wire.test/', '*', '127.0.0.1:22', '[::1]:22'].map(
    (target, index): WireCase => ({
      id: `connect-${index}`,
      rule: 'RFC 9110 9.3.6',
      title: `CONNECT ${target} opens no tunnel`,
      methods: ['CONNECT'],
      steps: ({ hidden }) => head(`CONNECT ${target} HTTP/1.1`, hostField) + hidden,
      accept: [refused()],
    }),
  ),
  {
    id: 'tls-hello',
    rule: 'robustness',
    title: 'a TLS hello is not a request',
    steps: () => Buffer.from('16030100c8010000c40303aabbcc0d0a0d0a', 'hex'),
    accept: [refused()],
  },
]

const versions: WireCase[] = [
  ...['HTTP/1.2', 'HTTP/1.9'].map(
    (version): WireCase => ({
      id: `version-${version.slice(5)}`,
      rule: 'RFC 9110 2.5',
      title: `${version} is served as 1.1, or refused`,
      steps: ({ path }) => head(`GET ${path} ${version}`, hostField),
      accept: [refused(), forwarded()],
    }),
  ),
  ...[
    'HTTP/2.0',
    'HTTP/3.0',
    'HTTP/0.9',
    'HTTP/9.9',
    'HTTP/1',
    'HTTP/1.',
    'HTTP/.1',
    'HTTP/11',
    'HTTP/1.10',
    'HTTP/01.1',
    'HTTP/1.1.1',
    'HTTP/+1.1',
    'HTTP/-1.1',
    'HTTP/1,1',
    'HTTP/1.1x',
    'HTTP/1.x',
    'http/1.1',
    'Http/1.1',
    'HTP/1.1',
    'HTTPS/1.1',
    'HTTP /1.1',
    'HTTP/ 1.1',
    'HTTP/1. 1',
    'HTTP\\1.1',
    'HTTP/1.1\x00',
    'HTTP/\xb9.1',
    'HTTP',
    'FTP/1.1',
    'HTTP/1.1 HTTP/1.1',
    '"HTTP/1.1"',
  ].map(
    (version, index): WireCase => ({
      id: `version-bad-${index}`,
      rule: 'RFC 9112 2.3',
      title: `${JSON.stringify(version)} is refused`,
      steps: ({ path, hidden }) => head(`GET ${path} ${version}`, hostField) + hidden,
      accept: [refused()],
    }),
  ),
  {
    id: 'version-2-codes',
    rule: 'RFC 9110 15.6.6',
    title: 'HTTP/2.0 in text gets 505 or 400',
    steps: ({ path }) => head(`GET ${path} HTTP/2.0`, hostField),
    accept: [refused({ codes: [505, 400], spoken: true })],
  },
  ...['\r\n', '\n', '\r\n\r\n', ' \r\n\r\n'].map(
    (end, index): WireCase => ({
      id: `http09-${index}`,
      rule: 'RFC 9112 2.3',
      title: `a request line without version, ended by ${JSON.stringify(end)}`,
      steps: ({ path }) => `GET ${path}${end}`,
      accept: [refused()],
      within: 3500,
    }),
  ),
  {
    id: 'version-10',
    rule: 'RFC 9110 2.5',
    title: 'HTTP/1.0 is served and the connection closes',
    steps: ({ path }) => head(`GET ${path} HTTP/1.0`, hostField),
    accept: [forwarded({ close: true })],
  },
  {
    id: 'version-10-lasting',
    rule: 'RFC 9112 9.3',
    title:
      'HTTP/1.0 with keep-alive: the answer says keep-alive and the next request is served, or it closes',
    methods: ['GET', 'GET'],
    steps: ({ path }) => [
      head(`GET ${path}/1 HTTP/1.0`, hostField, 'Connection: keep-alive'),
      { answers: 1 },
      head(`GET ${path}/2 HTTP/1.0`, hostField),
    ],
    accept: [
      forwarded({
        count: 2,
        close: true,
        check: (_request, answer) =>
          /keep-alive/i.test(fieldValue(answer, 'connection') ?? '') ? null : 'keep-alive is not announced',
      }),
      forwarded({ count: 1, close: true }),
    ],
  },
  {
    id: 'version-10-pipelined',
    rule: 'RFC 9112 9.3',
    title: 'without keep-alive nothing after an HTTP/1.0 request is read',
    steps: ({ path, hidden }) => head(`GET ${path} HTTP/1.0`, hostField) + hidden,
    accept: [forwarded({ close: true })],
  },
]

/** The two readings that are safe for white space out of place: refusal, or one clean request line. */
const whiteSpace: WireCase[] = Object.entries({
  'two-spaces-first': (path: string) => `GET  ${path} HTTP/1.1\r\n`,
  'two-spaces-last': (path: string) => `GET ${path}  HTTP/1.1\r\n`,
  'tab-first': (path: string) => `GET\t${path} HTTP/1.1\r\n`,
  'tab-last': (path: string) => `GET ${path}\tHTTP/1.1\r\n`,
  'tabs-both': (path: string) => `GET\t${path}\tHTTP/1.1\r\n`,
  'vt-first': (path: string) => `GET\x0b${path} HTTP/1.1\r\n`,
  'ff-last': (path: string) => `GET ${path}\x0cHTTP/1.1\r\n`,
  'cr-first': (path: string) => `GET\r${path} HTTP/1.1\r\n`,
  'cr-last': (path: string) => `GET ${path}\rHTTP/1.1\r\n`,
  leading: (path: string) => ` GET ${path} HTTP/1.1\r\n`,
  'leading-tab': (path: string) => `\tGET ${path} HTTP/1.1\r\n`,
  trailing: (path: string) => `GET ${path} HTTP/1.1 \r\n`,
  'trailing-tab': (path: string) => `GET ${path} HTTP/1.1\t\r\n`,
  'bare-lf': (path: string) => `GET ${path} HTTP/1.1\n`,
  'cr-cr-lf': (path: string) => `GET ${path} HTTP/1.1\r\r\n`,
}).map(
  ([id, line]): WireCase => ({
    id: `space-${id}`,
    rule: 'RFC 9112 3',
    title: `${JSON.stringify(line('/p'))} is refused or made clean`,
    steps: ({ path }) => `${line(path)}${hostField}\r\n\r\n`,
    accept: [refused(), forwarded({ check: ({ target }, _, { path }) => (target === path ? null : target) })],
  }),
)

const lineBorders: WireCase[] = [
  ...['\r\n', '\r\n\r\n', '\n', '\r\n'.repeat(20)].map(
    (lines, index): WireCase => ({
      id: `empty-lines-${index}`,
      rule: 'RFC 9112 2.2',
      title: `${JSON.stringify(lines.slice(0, 8))} before the request is ignored or refused`,
      steps: ({ path }) => lines + get(path),
      accept: [forwarded(), refused()],
    }),
  ),
  {
    id: 'empty-line-between',
    rule: 'RFC 9112 2.2',
    title: 'a stray CRLF between two requests is ignored',
    methods: ['GET', 'GET'],
    steps: ({ path }) => `${get(`${path}/1`)}\r\n${get(`${path}/2`)}`,
    accept: [forwarded({ count: 2 })],
  },
  {
    id: 'empty-line-cut',
    rule: 'RFC 9112 2.2',
    title: 'a stray CRLF is ignored when it comes in two segments as well',
    methods: ['GET', 'GET'],
    steps: ({ path }) => [get(`${path}/1`), { answers: 1 }, '\r', { wait: 40 }, `\n${get(`${path}/2`)}`],
    accept: [forwarded({ count: 2 })],
  },
  {
    id: 'empty-lines-drip',
    rule: 'slowloris',
    title: 'empty lines do not keep a connection open',
    steps: () => ({ drip: '\r\n'.repeat(20), every: 400, within: 9000 }),
    accept: [refused()],
  },
  {
    id: 'empty-lines-endless',
    rule: 'RFC 9112 2.2',
    title: 'endless empty lines are cut off',
    steps: () => ({ flood: Buffer.from('\r\n'.repeat(32768)), times: 200, within: 2500 }),
    accept: [refused()],
  },
  {
    id: 'cr-before',
    rule: 'RFC 9112 2.2',
    title: 'a CR alone before the request line',
    steps: ({ path }) => `\r${get(path)}`,
    accept: [refused()],
  },
  {
    id: 'space-line-before',
    rule: 'RFC 9112 2.2',
    title: 'a line of white space before the request line',
    steps: ({ path }) => ` \r\n${get(path)}`,
    accept: [refused()],
  },
]

const badTargets: WireCase[] = Object.entries({
  empty: '',
  relative: 'case-target-relative',
  asterisk: '*',
  'asterisk-path': '*/x',
  query: '?case-target-query',
  fragment: '#case-target-fragment',
  authority: 'wire.test:80',
  ip: '127.0.0.1:80',
  backslash: '\\case-target-backslash',
  'dot-slash': './case-target-dot-slash',
  'at-sign': '@evil.test/case-target-at-sign',
  'colon-slash': ':80/case-target-colon-slash',
  space: '/case-target-space b',
  nul: '/case-target-nul\x00b',
  bell: '/case-target-bell\x07b',
  tab: '/case-target-tab\tb',
  del: '/case-target-del\x7fb',
  vt: '/case-target-vt\x0bb',
  cr: '/case-target-cr\rb',
  ftp: 'ftp://wire.test/case-target-ftp',
  ws: 'ws://wire.test/case-target-ws',
  file: 'file:///case-target-file',
  'javascript-scheme': 'javascript:alert(1)',
  'no-host': 'http:///case-target-no-host',
  'no-slashes': 'http:/case-target-no-slashes',
  'scheme-only': 'http://',
  userinfo: 'http://user:secret@wire.test/case-target-userinfo',
  'userinfo-trick': 'http://wire.test@evil.test/case-target-userinfo-trick',
  'port-text': 'http://wire.test:abc/case-target-port-text',
  'port-large': 'http://wire.test:99999/case-target-port-large',
  'port-twice': 'http://wire.test:80:80/case-target-port-twice',
  'host-space': 'http://wire .test/case-target-host-space',
  'host-comma': 'http://wire.test,evil.test/case-target-host-comma',
  'host-backslash': 'http://wire.test\\@evil.test/case-target-host-backslash',
  'open-bracket': 'http://[::1/case-target-open-bracket',
}).map(
  ([id, target]): WireCase => ({
    id: `target-${id}`,
    rule: 'RFC 9112 3.2',
    title: `${JSON.stringify(target)} is no target for GET`,
    steps: () => head(`GET ${target} HTTP/1.1`, hostField),
    accept: [refused({ open: true })],
  }),
)

/** Where a target is only odd, passing it on unchanged (slashes may be merged) is as good as refusing it. */
const oddTargets: WireCase[] = Object.entries({
  'utf-8': '/\xc3\xa9',
  'latin-1': '/\xe9',
  'fragment-in': '/a#b',
  quotes: '/"<>`{}|^',
  'double-slash': '//evil.test/a',
  'triple-slash': '///a',
  'url-in-path': '/http://evil.test/',
  colon: '/:80',
  at: '/@evil.test',
  'asterisk-in': '/*',
  percent: '/%',
  'question-only': '/?',
  'query-nul': '/?a=%00',
}).map(
  ([id, suffix]): WireCase => ({
    id: `odd-${id}`,
    rule: 'RFC 3986',
    title: `${JSON.stringify(suffix)} is passed on or refused`,
    steps: ({ path }) => get(path + suffix),
    accept: [
      refused({ open: true }),
      forwarded({
        check: ({ target }, _, { path }) => {
          const merged = path + suffix.replace(/\/{2,}/g, '/')
          return target === path + suffix || target === merged ? null : `became ${JSON.stringify(target)}`
        },
      }),
    ],
  }),
)

interface Reading {
  target: string
  host: string
}
const readAs = (wanted: Reading, path: string): Outcome =>
  forwarded({
    label: `forwarded as ${wanted.target} of ${wanted.host}`,
    check: (request) => {
      const host = fieldValue(request, 'host')
      if (host?.toLowerCase() !== wanted.host) return `Host ${host}`
      return request.target === wanted.target.replace('PATH', path) ? null : `target ${request.target}`
    },
  })

const absoluteForms: WireCase[] = (
  [
    ['same', 'http://wire.test/PATH', 'wire.test', { target: '/PATH', host: 'wire.test' }],
    ['other-host', 'http://other.test/PATH', 'wire.test', { target: '/PATH', host: 'other.test' }],
    ['port', 'http://other.test:8080/PATH', 'wire.test', { target: '/PATH', host: 'other.test:8080' }],
    ['upper-scheme', 'HTTP://other.test/PATH', 'wire.test', { target: '/PATH', host: 'other.test' }],
    [
      'query',
      'http://other.test/PATH?a=http://x/',
      'wire.test',
      { target: '/PATH?a=http://x/', host: 'other.test' },
    ],
    ['upper-host', 'http://OTHER.test/PATH', 'wire.test', { target: '/PATH', host: 'other.test' }],
    ['ipv6', 'http://[::1]:80/PATH', 'wire.test', { target: '/PATH', host: '[::1]:80' }],
    ['double-slash', 'http://other.test//PATH', 'wire.test', { target: '/PATH', host: 'other.test' }],
  ] as [string, string, string, Reading][]
).map(
  ([id, target, host, wanted]): WireCase => ({
    id: `absolute-${id}`,
    rule: 'RFC 9112 3.2.2',
    title: `${target} with Host: ${host}`,
    steps: ({ path }) => head(`GET ${target.replace('/PATH', path)} HTTP/1.1`, `Host: ${host}`),
    accept: [readAs({ ...wanted, target: wanted.target.replace('/PATH', 'PATH') }, `/case-absolute-${id}`)],
  }),
)

const otherForms: WireCase[] = [
  {
    id: 'absolute-no-path',
    rule: 'RFC 9112 3.2.1',
    title: 'an empty path becomes /',
    steps: () => head('GET http://other.test HTTP/1.1', hostField),
    accept: [readAs({ target: '/', host: 'other.test' }, '')],
    targets: /^\/$/,
  },
  {
    id: 'absolute-no-path-query',
    rule: 'RFC 9112 3.2.1',
    title: 'an empty path before a query becomes /',
    steps: () => head('GET http://other.test?case-absolute=1 HTTP/1.1', hostField),
    accept: [readAs({ target: '/?case-absolute=1', host: 'other.test' }, ''), refused({ open: true })],
    targets: /^\/\?case/,
  },
  {
    id: 'absolute-https',
    rule: 'RFC 9112 3.2.2',
    title: 'https on a plain port is refused or treated as this origin',
    steps: ({ path }) => head(`GET https://wire.test${path} HTTP/1.1`, hostField),
    accept: [refused({ open: true }), forwarded()],
  },
  {
    id: 'absolute-without-host',
    rule: 'RFC 9112 3.2',
    title: 'HTTP/1.1 without Host is refused, even when the target names one',
    steps: ({ path }) => head(`GET http://wire.test${path} HTTP/1.1`),
    accept: [refused()],
  },
  {
    id: 'absolute-bad-host',
    rule: 'RFC 9112 3.2',
    title: 'an invalid Host is refused, even when the target names a good one',
    steps: ({ path }) => head(`GET http://wire.test${path} HTTP/1.1`, 'Host: a b'),
    accept: [refused()],
  },
  {
    id: 'absolute-http10',
    rule: 'RFC 9112 3.2.2',
    title: 'absolute-form in HTTP/1.0 without Host',
    steps: ({ path }) => head(`GET http://other.test${path} HTTP/1.0`),
    accept: [
      forwarded({
        check: (request) =>
          fieldValue(request, 'host') === 'other.test' ? null : 'Host is not the target’s',
      }),
      refused(),
    ],
  },
  {
    id: 'asterisk-options',
    rule: 'RFC 9112 3.2.4',
    title: 'OPTIONS * is passed on as *, answered, or refused',
    methods: ['OPTIONS'],
    steps: () => head('OPTIONS * HTTP/1.1', hostField),
    accept: [
      forwarded({ check: ({ target }) => (target === '*' ? null : `became ${target}`) }),
      answered((status) => status < 300),
      refused({ open: true }),
    ],
    targets: /^\*$/,
  },
  {
    id: 'asterisk-absolute',
    rule: 'RFC 9112 3.2.4',
    title: 'OPTIONS with an absolute target without path is * of that host',
    methods: ['OPTIONS'],
    steps: () => head('OPTIONS http://other.test HTTP/1.1', hostField),
    accept: [
      forwarded({
        check: (request) =>
          (request.target === '*' || request.target === '/') && fieldValue(request, 'host') === 'other.test'
            ? null
            : `became ${request.target} of ${fieldValue(request, 'host')}`,
      }),
      answered((status) => status < 300),
      refused({ open: true }),
    ],
    targets: /^[*/]$/,
  },
]

const hosts: WireCase[] = [
  {
    id: 'host-missing',
    rule: 'RFC 9112 3.2',
    title: 'HTTP/1.1 without Host is 400',
    steps: ({ path, hidden }) => head(`GET ${path} HTTP/1.1`, 'X-A: 1') + hidden,
    accept: [refused({ codes: [400] })],
  },
  {
    id: 'host-missing-10',
    rule: 'RFC 9112 3.2',
    title: 'HTTP/1.0 may go without Host',
    steps: ({ path }) => head(`GET ${path} HTTP/1.0`),
    accept: [forwarded(), refused()],
  },
  ...['wire.test', 'evil.test', ''].map(
    (second, index): WireCase => ({
      id: `host-twice-${index}`,
      rule: 'RFC 9112 3.2',
      title: `a second Host ${JSON.stringify(second)} is 400`,
      steps: ({ path, hidden }) =>
        head(`GET ${path} HTTP/1.1`, hostField, 'X-A: 1', `Host: ${second}`) + hidden,
      accept: [refused({ codes: [400] })],
    }),
  ),
  {
    id: 'host-twice-10',
    rule: 'RFC 9112 3.2',
    title: 'two Host fields are refused in HTTP/1.0 too',
    steps: ({ path }) => head(`GET ${path} HTTP/1.0`, hostField, 'Host: evil.test'),
    accept: [refused()],
  },
  ...[
    'wire test',
    'wire.test/',
    'wire.test/path',
    'user@wire.test',
    'wire.test@evil.test',
    'user:secret@wire.test',
    'wire.test, evil.test',
    'wire.test,evil.test',
    'wire.test:80:80',
    'wire.test:abc',
    'wire.test:8o',
    'wire.test:-1',
    'wire.test:+80',
    'wire.test:0x50',
    'wire.test:80@evil.test',
    'wire.test:99999',
    'wire.test:80 ',
    'http://wire.test',
    '//wire.test',
    'wire.test#x',
    'wire.test?x',
    'wire\\test',
    'wire\ttest',
    'wire\x00test',
    'wire.test\x00',
    'wire\x01test',
    'wire\x7ftest',
    'wire\x0btest',
    'wire"test',
    '<wire>',
    'wire{}test',
    'wire^test',
    'wire`test',
    'wire|test',
    '[::1',
    '::1',
    '[::1]x',
    '[::1]:x',
    '[]',
    '[zz]',
    ':80',
    '\xffwire.test',
    'wire.t\xc3\xa9st',
    '',
  ].map(
    (value, index): WireCase => ({
      id: `host-bad-${index}`,
      rule: 'RFC 9110 7.2',
      title: `Host: ${JSON.stringify(value)} is refused`,
      steps: ({ path }) => head(`GET ${path} HTTP/1.1`, `Host: ${value}`),
      // White space at the end is not part of the value.
      accept: value.endsWith(' ') ? [forwarded()] : [refused()],
    }),
  ),
  ...[
    'WIRE.test',
    'wire.test.',
    'wire.test:8080',
    '127.0.0.1',
    '[::1]',
    '[::1]:80',
    'a-b_c.test',
    'xn--bcher-kva.test',
  ].map(
    (value, index): WireCase => ({
      id: `host-good-${index}`,
      rule: 'RFC 9110 7.2',
      title: `Host: ${value} is passed on`,
      steps: ({ path }) => head(`GET ${path} HTTP/1.1`, `Host: ${value}`),
      accept: [
        forwarded({
          check: (request) => {
            const arrived = fieldValue(request, 'host')
            return arrived?.toLowerCase() === value.toLowerCase() ? null : `Host ${arrived}`
          },
        }),
      ],
    }),
  ),
  ...['wire.test:', 'wire%2etest', 'wire%00.test', 'a!b.test', `${'h'.repeat(300)}.test`].map(
    (value, index): WireCase => ({
      id: `host-odd-${index}`,
      rule: 'RFC 9110 7.2',
      title: `Host: ${value.slice(0, 20)} is refused or passed on`,
      steps: ({ path }) => head(`GET ${path} HTTP/1.1`, `Host: ${value}`),
      accept: [refused(), forwarded()],
    }),
  ),
  ...[
    'Host : wire.test',
    'Host\t: wire.test',
    ' Host: wire.test',
    'Host:\r\n wire.test',
    'Host: wire\r\n .test',
  ].map(
    (line, index): WireCase => ({
      id: `host-line-${index}`,
      rule: 'RFC 9112 5',
      title: `${JSON.stringify(line)} is refused`,
      steps: ({ path }) => head(`GET ${path} HTTP/1.1`, 'X-A: 1', line),
      accept: [refused()],
    }),
  ),
  {
    id: 'host-spoof',
    rule: 'routing',
    title: 'Host spellings beside the real one decide nothing',
    steps: ({ path }) => get(path, 'X-Host: evil.test', 'X-Forwarded-Host: evil.test', 'Hostt: evil.test'),
    accept: [
      forwarded({
        check: (request) =>
          fieldValue(request, 'host') === 'wire.test' &&
          fieldValue(request, 'x-forwarded-host') !== 'evil.test'
            ? null
            : 'the spoofed host was believed',
      }),
    ],
  },
  {
    id: 'host-late',
    rule: 'RFC 9112 3.2',
    title: 'Host as the last field is found',
    steps: ({ path }) =>
      head(`GET ${path} HTTP/1.1`, ...Array.from({ length: 40 }, (_, i) => `X-${i}: v`), hostField),
    accept: [forwarded()],
  },
]

wireSuite('start lines', [
  ...methods,
  ...versions,
  ...whiteSpace,
  ...lineBorders,
  ...badTargets,
  ...oddTargets,
  ...absoluteForms,
  ...otherForms,
  ...hosts,
])
wireSuite('incomplete heads', [
  {
    id: 'line-only',
    rule: 'RFC 9112 3',
    title: 'a request line alone is no request yet',
    steps: ({ path }) => `GET ${path} HTTP/1.1\r\n`,
    accept: [waiting],
    within: 200,
  },
])
