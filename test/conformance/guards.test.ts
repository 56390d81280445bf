/**
 * Ways round a guarded path. `/guarded` needs a key that no case has, everything else goes to the upstream:
 * nothing may arrive there that a common origin would read as /guarded.
 */
import { refused, that } from './outcomes.ts'
import { get, head, hostField, type WireCase } from './wire-case.ts'
import { wireSuite } from './wire-suite.ts'

const guarded = /^\/guarded(\/|$)/

/** The paths that origins in use make of a target: one decoding, dot segments, merged slashes, path parameters, C strings. */
function readings(target: string): string[] {
  const path = target.replace(/^https?:\/\/[^/?#]*/i, '').split(/[?#]/)[0] ?? ''
  const decoded = path.replace(/%([0-9a-f]{2})/gi, (_match, digits) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
  const spellings = [path, decoded]
  const all = new Set<string>()
  for (const spelling of spellings) {
    for (const slashed of [spelling, spelling.replaceAll('\\', '/')]) {
      for (const bare of [slashed, slashed.replace(/;[^/]*/g, ''), slashed.split('\0')[0]!]) {
        for (const merged of [bare, bare.replace(/\/{2,}/g, '/')]) {
          all.add(merged)
          all.add(resolved(merged))
          all.add(resolved(merged).replace(/\/{2,}/g, '/'))
        }
      }
    }
  }
  return [...all]
}

function resolved(path: string): string {
  const out: string[] = []
  const segments = path.split('/').slice(1)
  for (const [index, segment] of segments.entries()) {
    const last = index === segments.length - 1
    if (segment === '..') out.pop()
    if (segment !== '.' && segment !== '..') out.push(segment)
    else if (last) out.push('')
  }
  return `/${out.join('/')}`
}

const targets: Record<string, string> = {
  plain: '/guarded',
  slash: '/guarded/',
  below: '/guarded/x',
  query: '/guarded?x=1',
  'empty-query': '/guarded?',
  'query-slash': '/guarded?/../open',
  'double-slash': '//guarded',
  'triple-slash': '///guarded/x',
  'inner-slashes': '/open//..//guarded',
  'trailing-slashes': '/guarded//',
  dot: '/./guarded',
  'dot-end': '/guarded/.',
  'dot-below': '/guarded/./x',
  dotdot: '/open/../guarded',
  'dotdot-root': '/../guarded',
  'dotdot-many': '/../../../guarded',
  'dotdot-below': '/guarded/open/..',
  'dotdot-encoded': '/open/%2e%2e/guarded',
  'dotdot-upper': '/open/%2E%2E/guarded',
  'dotdot-half': '/open/.%2e/guarded',
  'dotdot-half-first': '/open/%2e./guarded',
  'dot-encoded': '/%2e/guarded',
  'dotdot-slash-encoded': '/open/..%2fguarded',
  'dotdot-slash-upper': '/open/..%2Fguarded',
  'all-encoded': '/open%2f%2e%2e%2fguarded',
  'slash-encoded': '/%2fguarded',
  'slash-encoded-alone': '%2fguarded',
  'slash-encoded-below': '/guarded%2fx',
  'slash-encoded-end': '/guarded%2f',
  letter: '/%67uarded',
  'letter-upper': '/%67%75%61%72%64%65%64',
  'letter-last': '/guarde%64',
  'letter-below': '/%67uarded/x',
  'double-encoded': '/%2567uarded',
  backslash: '\\guarded',
  'backslash-first': '/\\guarded',
  'backslash-dots': '/open\\..\\guarded',
  'backslash-mixed': '/open/..\\guarded',
  'backslash-encoded': '/open%5c..%5cguarded',
  'backslash-below': '/guarded\\x',
  'backslash-encoded-below': '/guarded%5cx',
  parameter: '/guarded;x=1',
  'parameter-below': '/guarded;x=1/y',
  'parameter-empty': '/guarded;',
  'parameter-encoded': '/guarded%3bx=1',
  'parameter-first': '/;x/guarded',
  'parameter-dots': '/open/..;/guarded',
  'parameter-dots-value': '/open/..;a=b/guarded',
  'parameter-dot': '/.;/guarded',
  'parameter-before': '/open;/../guarded',
  nul: '/guarded%00',
  'nul-suffix': '/guarded%00.html',
  'nul-before': '/%00/guarded',
  'nul-raw': '/guarded\x00',
  fragment: '/guarded#x',
  'fragment-before': '/open#/../guarded',
  'fragment-encoded': '/guarded%23x',
  'question-encoded': '/guarded%3fx',
  space: '/guarded x',
  tab: '/guarded\tx',
  'cr-encoded': '/guarded%0d',
  'lf-encoded': '/guarded%0a',
  absolute: 'http://wire.test/guarded',
  'absolute-upper': 'HTTP://WIRE.TEST/guarded',
  'absolute-other': 'http://other.test/guarded',
  'absolute-dots': 'http://wire.test/open/../guarded',
  'absolute-double': 'http://wire.test//guarded',
  'absolute-userinfo': 'http://a@wire.test/guarded',
  'absolute-question': 'http://wire.test?/../guarded',
  'absolute-https': 'https://wire.test/guarded',
  overlong: '/%c0%afguarded',
  'overlong-dots': '/open/%c0%ae%c0%ae/guarded',
  'full-width': '/%ef%bc%8fguarded',
  'bad-percent': '/%2/../guarded',
  'bad-percent-letters': '/%zz/../guarded',
  unicode: '/%u002fguarded',
}

const byTarget: WireCase[] = Object.entries(targets).map(([id, target]) => ({
  id: `guard-${id}`,
  rule: 'access control bypass',
  title: JSON.stringify(target),
  steps: () => head(`GET ${target} HTTP/1.1`, hostField),
  accept: [
    that('guarded', (run) => {
      const open = run.requests.find((request) => readings(request.target).some((path) => guarded.test(path)))
      if (open) return `${open.target} reached the upstream`
      return run.client.answers.length > 0 || run.client.closed ? null : 'no answer'
    }),
  ],
  targets: /./,
}))

const others: WireCase[] = [
  ...[
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-Forwarded-Prefix',
    'X-HTTP-Method-Override',
    'X-Forwarded-Uri',
  ].map(
    (name): WireCase => ({
      id: `guard-field-${name.toLowerCase()}`,
      rule: 'access control bypass',
      title: `${name} does not open the guarded path`,
      steps: () => get('/guarded/x', `${name}: /open`),
      accept: [refused({ codes: [401, 403], open: true })],
    }),
  ),
  ...['POST', 'PUT', 'HEAD', 'OPTIONS', 'FOOBAR', 'get'].map(
    (method): WireCase => ({
      id: `guard-method-${method}`,
      rule: 'access control bypass',
      title: `${method} is guarded as well`,
      methods: [method],
      steps: () => head(`${method} /guarded HTTP/1.1`, hostField, 'Content-Length: 0'),
      accept: [refused({ open: true })],
    }),
  ),
  ...['WIRE.TEST', 'wire.test.', 'wire.test:80', 'other.test', '127.0.0.1'].map(
    (value, index): WireCase => ({
      id: `guard-host-${index}`,
      rule: 'access control bypass',
      title: `it is guarded under Host: ${value}`,
      steps: () => head('GET /guarded HTTP/1.1', `Host: ${value}`),
      accept: [refused({ open: true })],
    }),
  ),
  {
    id: 'guard-http10',
    rule: 'access control bypass',
    title: 'it is guarded for HTTP/1.0 without Host',
    steps: () => head('GET /guarded HTTP/1.0'),
    accept: [refused({ open: true })],
  },
  {
    id: 'guard-pipelined',
    rule: 'access control bypass',
    title: 'it is guarded behind an open request',
    methods: ['GET', 'GET'],
    steps: ({ path }) => get(path) + get('/guarded'),
    accept: [refused({ upstream: 1, open: true })],
  },
  {
    id: 'guard-body',
    rule: 'request smuggling',
    title: 'the body of a refused request is not a request',
    methods: ['POST'],
    steps: ({ path, hidden }) => [
      head('POST /guarded HTTP/1.1', hostField, `Content-Length: ${hidden.length}`) + hidden,
      { wait: 100 },
      get(`${path}/hidden`),
    ],
    maxAnswers: 2,
    except: ['smuggled'],
    accept: [
      that('body swallowed', (run) =>
        run.requests.length <= 1 ? null : `${run.requests.length} requests at the upstream`,
      ),
    ],
  },
]

wireSuite('guards', [...byTarget, ...others])
