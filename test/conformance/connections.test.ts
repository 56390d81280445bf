/** Interim answers, trailers, persistence, half-close: RFC 9112 section 9, RFC 9110 sections 6.5 and 15.2. */
import { fieldValue } from '../harness/message-reader.ts'
import { originAnswer, type UpstreamScript } from '../harness/scripted-upstream.ts'
import { answered, both, forwarded, refused, that, truncated } from './outcomes.ts'
import { chunked, get, head, hostField, type Outcome, post, type WireCase } from './wire-case.ts'
import { wireSuite } from './wire-suite.ts'
import { wireSuiteOverTls } from './wire-suite-tls.ts'

const firstSending = (bytes: string): UpstreamScript => ({
  onRequest: (request, connection) => connection.send(bytes).echo(request),
})
const interim = (...wanted: number[]): Outcome =>
  forwarded({
    check: (_request, _answer, run) => {
      const statuses = run.client.interim.map((answer) => answer.status)
      return statuses.join() === wanted.join() ? null : `interim answers ${statuses.join() || 'none'}`
    },
  })
const earlyHints = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n'

const interimCases: WireCase[] = [
  {
    id: 'interim-103',
    rule: 'RFC 8297 2',
    title: '103 reaches an HTTP/1.1 client, with its fields',
    steps: ({ path }) => get(path),
    upstream: firstSending(earlyHints),
    accept: [
      both(
        interim(103),
        that('Link', (run) =>
          fieldValue(run.client.interim[0]!, 'link') === '</a.css>; rel=preload' ? null : 'Link was lost',
        ),
      ),
    ],
  },
  {
    id: 'interim-103-10',
    rule: 'RFC 9110 15.2',
    title: '103 never reaches an HTTP/1.0 client',
    steps: ({ path }) => head(`GET ${path} HTTP/1.0`, hostField),
    upstream: firstSending(earlyHints),
    accept: [interim()],
  },
  {
    id: 'interim-three',
    rule: 'RFC 9110 15.2',
    title: 'three interim answers in one segment with the final one',
    steps: ({ path }) => get(path),
    upstream: firstSending(earlyHints.repeat(3)),
    accept: [interim(103, 103, 103)],
  },
  {
    id: 'interim-102',
    rule: 'RFC 9110 15.2',
    title: '102 and an unknown 1xx are interim answers, passed on or dropped',
    steps: ({ path }) => get(path),
    upstream: firstSending('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 Odd\r\nX-A: 1\r\n\r\n'),
    accept: [forwarded()],
  },
  {
    id: 'interim-100-unasked',
    rule: 'RFC 9110 15.2.1',
    title: 'a 100 that nobody asked for disturbs nothing',
    steps: ({ path }) => get(path),
    upstream: firstSending('HTTP/1.1 100 Continue\r\n\r\n'),
    accept: [forwarded()],
  },
  {
    id: 'interim-hop',
    rule: 'RFC 9110 7.6.1',
    title: 'hop-by-hop fields of a 103 stop here',
    steps: ({ path }) => get(path),
    upstream: firstSending(
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-Secret\r\nX-Secret: 1\r\nKeep-Alive: x\r\n\r\n',
    ),
    accept: [
      forwarded({
        check: (_request, _answer, run) =>
          run.client.interim.some(
            (answer) => fieldValue(answer, 'x-secret') ?? fieldValue(answer, 'keep-alive'),
          )
            ? 'they were passed on'
            : null,
      }),
    ],
  },
  {
    id: 'interim-length',
    rule: 'RFC 9112 6.3(1)',
    title: 'a 103 with Content-Length has no body',
    steps: ({ path }) => get(path),
    upstream: firstSending('HTTP/1.1 103 Early Hints\r\nContent-Length: 50\r\n\r\n'),
    accept: [
      forwarded({
        check: (_r, _a, run) => (run.client.findings.length === 0 ? null : run.client.findings[0]!.rule),
      }),
      answered([502]),
    ],
  },
  {
    id: 'interim-bad-field',
    rule: 'RFC 9112 5',
    title: 'a 103 with an invalid field is 502, or cleaned',
    steps: ({ path }) => get(path),
    upstream: firstSending('HTTP/1.1 103 Early Hints\r\nX-A: a\x00b\r\n\r\n'),
    accept: [forwarded(), answered([502])],
  },
  {
    id: 'interim-then-end',
    rule: 'RFC 9110 15.2',
    title: 'an upstream that ends after a 103 is an error',
    steps: ({ path }) => get(path),
    upstream: { onRequest: (_request, connection) => connection.send(earlyHints).end() },
    accept: [truncated],
  },
  {
    id: 'interim-pipelined',
    rule: 'RFC 9112 9.3.2',
    title: 'interim answers stay with their request',
    methods: ['GET', 'GET'],
    steps: ({ path }) => get(`${path}/1`) + get(`${path}/2`),
    upstream: {
      onRequest: (request, connection) => {
        if (request.target.endsWith('/2')) connection.send(earlyHints)
        connection.echo(request)
      },
    },
    accept: [
      forwarded({
        count: 2,
        check: (_r, _a, run) => (run.client.interim.length === 1 ? null : 'the 103 is missing'),
      }),
    ],
  },
]

const chunkedPost = (path: string, trailers: string): string =>
  `${head(`POST ${path} HTTP/1.1`, hostField, 'Transfer-Encoding: chunked', 'Trailer: X-Sum')}5\r\nhello\r\n0\r\n${trailers}\r\n`
const trailersAre = (wanted: string): Outcome =>
  forwarded({
    body: 'hello',
    check: (request) => {
      const arrived = request.trailers.map((field) => `${field.name}: ${field.value}`).join('|')
      // Names have no case, and HTTP/2 writes them in lower case.
      return arrived.toLowerCase() === wanted.toLowerCase() ? null : `trailers ${JSON.stringify(arrived)}`
    },
  })
const answerTrailersAre = (wanted: string): Outcome =>
  forwarded({
    check: (_request, answer) => {
      if (answer.body.toString('latin1') !== 'hello') return 'the body is wrong'
      const arrived = answer.trailers.map((field) => `${field.name}: ${field.value}`).join('|')
      // Names have no case, and HTTP/2 writes them in lower case.
      return arrived.toLowerCase() === wanted.toLowerCase() ? null : `trailers ${JSON.stringify(arrived)}`
    },
  })
const noSecondMeaning = (name: string): Outcome =>
  forwarded({
    body: 'hello',
    check: (request) => {
      if (request.trailers.some((field) => field.lower === name)) return `${name} was passed on as a trailer`
      return request.fields.some((field) => field.lower === name && field.value.includes('evil'))
        ? 'it was merged into the head'
        : null
    },
  })

const trailers: WireCase[] = [
  {
    id: 'trailer-up',
    rule: 'RFC 9110 6.5',
    title: 'trailers of a request arrive as trailers',
    methods: ['POST'],
    steps: ({ path }) => chunkedPost(path, 'X-Sum: 1\r\nX-More: a b\r\n'),
    accept: [trailersAre('X-Sum: 1|X-More: a b')],
  },
  {
    id: 'trailer-down',
    rule: 'RFC 9110 6.5',
    title: 'trailers of an answer arrive as trailers',
    steps: ({ path }) => get(path, 'TE: trailers', 'Connection: TE'),
    upstream: {
      onRequest: (_request, connection) =>
        connection.send(
          'HTTP/1.1 200 OK\r\nX-Origin: 1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
        ),
    },
    accept: [answerTrailersAre('X-Sum: 1')],
  },
  ...[
    'Content-Length',
    'Transfer-Encoding',
    'Host',
    'Authorization',
    'X-Forwarded-For',
    'Connection',
    'Cookie',
    'Set-Cookie',
    'Content-Encoding',
    'X-Consumer-Username',
    'Trailer',
    'Keep-Alive',
    'Upgrade',
    'TE',
    'Expect',
    'Proxy-Authorization',
    'X-Real-IP',
  ].map(
    (name): WireCase => ({
      id: `trailer-${name.toLowerCase()}`,
      rule: 'RFC 9110 6.5.1',
      title: `${name} as a trailer has no effect behind the gateway`,
      methods: ['POST'],
      steps: ({ path }) => chunkedPost(path, `${name}: evil\r\n`),
      accept: [noSecondMeaning(name.toLowerCase()), refused()],
    }),
  ),
  {
    id: 'trailer-many',
    rule: 'limits',
    title: '5000 trailers are refused, dropped or all there',
    methods: ['POST'],
    steps: ({ path }) => chunkedPost(path, Array.from({ length: 5000 }, (_, i) => `X-${i}: v\r\n`).join('')),
    accept: [
      refused(),
      forwarded({ check: (r) => (r.trailers.length % 5000 === 0 ? null : 'some are lost') }),
    ],
    within: 3000,
  },
]

const persistence: WireCase[] = [
  {
    id: 'close-stops',
    rule: 'RFC 9112 9.6',
    title: 'nothing after a request with Connection: close is read',
    steps: ({ path, hidden }) => get(path, 'Connection: close') + hidden,
    accept: [
      forwarded({
        close: true,
        check: (_r, answer) =>
          /close/i.test(fieldValue(answer, 'connection') ?? '') ? null : 'close is not announced',
      }),
    ],
  },
  {
    id: 'close-case',
    rule: 'RFC 9112 9.6',
    title: 'CLOSE among other tokens counts',
    steps: ({ path, hidden }) => get(path, 'Connection: keep-alive, CLOSE') + hidden,
    accept: [forwarded({ close: true })],
  },
  {
    id: 'close-second-line',
    rule: 'RFC 9112 9.6',
    title: 'close in a second Connection line counts',
    steps: ({ path, hidden }) => get(path, 'Connection: X-A', 'Connection: close') + hidden,
    accept: [forwarded({ close: true })],
  },
  {
    id: 'closex',
    rule: 'RFC 9112 9.6',
    title: 'a token that only begins with close does not close',
    methods: ['GET', 'GET'],
    steps: ({ path }) => get(`${path}/1`, 'Connection: closed') + get(`${path}/2`),
    accept: [forwarded({ count: 2 })],
  },
  {
    id: 'lasting-11',
    rule: 'RFC 9112 9.3',
    title: 'an HTTP/1.1 connection lasts without being asked',
    methods: ['GET', 'GET'],
    steps: ({ path }) => [get(`${path}/1`), { answers: 1 }, { wait: 50 }, get(`${path}/2`)],
    accept: [forwarded({ count: 2 })],
  },
  {
    id: 'half-close',
    rule: 'RFC 9112 9.6',
    title: 'a client that has sent its FIN still gets its answer',
    steps: ({ path }) => [get(path), { end: true }],
    upstream: { onRequest: (request, connection) => setTimeout(() => connection.echo(request), 80) },
    accept: [forwarded({ close: true })],
  },
  {
    id: 'half-close-pipelined',
    rule: 'RFC 9112 9.6',
    title: 'both pipelined requests before the FIN are answered',
    methods: ['GET', 'GET'],
    steps: ({ path }) => [get(`${path}/1`) + get(`${path}/2`), { end: true }],
    upstream: { onRequest: (request, connection) => setTimeout(() => connection.echo(request), 40) },
    accept: [
      that('both', (run) => {
        const statuses = run.client.answers.filter((answer) => answer.complete).map((answer) => answer.status)
        return statuses.join() === '200,200' && run.client.closed
          ? null
          : `${statuses.join() || 'none'} ${run.client.closed}`
      }),
    ],
  },
  {
    id: 'half-close-body',
    rule: 'RFC 9112 8',
    title: 'a FIN inside a body is an abort, not an end',
    methods: ['POST'],
    steps: ({ path }) => [
      `${head(`POST ${path} HTTP/1.1`, hostField, 'Content-Length: 50')}hello`,
      { wait: 40 },
      { end: true },
      { closed: 800 },
    ],
    accept: [
      that('aborted', (run) =>
        run.requests.some((request) => request.complete) ? 'complete at the upstream' : null,
      ),
    ],
    within: 500,
  },
  {
    id: 'pipelined-bad',
    rule: 'RFC 9112 9.3.2',
    title: 'the answer before an invalid request is delivered, nothing after it is read',
    methods: ['GET', 'GET'],
    steps: ({ path, hidden }) => `${get(path)}GE T / HTTP/1.1\r\n\r\n${hidden}`,
    upstream: { onRequest: (request, connection) => setTimeout(() => connection.echo(request), 60) },
    accept: [
      that('200, then refused', (run) => {
        const [first, second] = run.client.answers
        if (first?.status !== 200) return `first ${first?.status}`
        if (second && second.status < 400) return `second ${second.status}`
        return run.client.closed ? null : 'left open'
      }),
    ],
  },
  {
    id: 'pipelined-not-found-body',
    rule: 'request smuggling',
    title: 'the body of a request that is refused by a policy is swallowed, or the connection closes',
    methods: ['POST', 'GET'],
    steps: ({ path, hidden }) => [
      `${head('POST /guarded HTTP/1.1', hostField, `Content-Length: ${hidden.length}`)}${hidden}`,
      { answers: 1 },
      { wait: 40 },
      get(path),
    ],
    accept: [
      that('in order', (run) => {
        const [first, second] = run.client.answers
        if (!first || first.status < 400) return `first ${first?.status}`
        return second?.status === 200 || run.client.closed ? null : 'neither answered nor closed'
      }),
    ],
  },
  {
    id: 'pipelined-early-refusal',
    rule: 'request smuggling',
    title: 'a refused request whose body comes later: its bytes are never a request',
    methods: ['POST'],
    steps: ({ hidden }) => [
      head('POST /guarded HTTP/1.1', hostField, `Content-Length: ${hidden.length}`),
      { answers: 1 },
      hidden,
      { wait: 100 },
    ],
    accept: [refused({ open: true })],
  },
  {
    id: 'pipelined-order',
    rule: 'RFC 9112 9.3.2',
    title: 'answers come in the order of their requests when the first is slow',
    methods: ['GET', 'GET', 'GET'],
    steps: ({ path }) => get(`${path}/1`) + get(`${path}/2`) + get(`${path}/3`),
    upstream: {
      onRequest: (request, connection) => {
        setTimeout(() => connection.echo(request), request.target.endsWith('/1') ? 120 : 0)
      },
    },
    accept: [
      that('in order', (run) => {
        const order = run.client.answers
          .map((answer) => /\/(\d) /.exec(answer.body.toString('latin1'))?.[1])
          .join('')
        return order === '123' ? null : `order ${order}`
      }),
    ],
  },
  {
    id: 'pipelined-second-waits',
    rule: 'RFC 9112 9.3.2',
    title: 'a request behind one whose answer closes the connection never reaches the upstream',
    methods: ['GET'],
    steps: ({ path, hidden }) => get(path, 'Connection: close') + hidden,
    upstream: { onRequest: (request, connection) => setTimeout(() => connection.echo(request), 80) },
    accept: [forwarded({ close: true })],
  },
  {
    id: 'upstream-slow-close',
    rule: 'RFC 9112 9.6',
    title: 'FIN right behind an answer delivers the answer',
    steps: ({ path }) => get(path),
    upstream: {
      onRequest: (_request, connection) => connection.send(originAnswer(200, 'x'.repeat(200_000))).end(),
    },
    accept: [
      forwarded({
        check: (_r, answer) => (answer.bodyBytes === 200_000 ? null : `${answer.bodyBytes} bytes`),
      }),
    ],
  },
  {
    id: 'slow-reader',
    rule: 'back-pressure',
    title: 'a client that reads late gets the whole answer',
    steps: ({ path }) => [{ reading: false }, get(path), { wait: 400 }, { reading: true }],
    upstream: {
      onRequest: (_request, connection) => connection.send(originAnswer(200, Buffer.alloc(3 << 20, 'x'))),
    },
    accept: [
      forwarded({
        check: (_r, answer) => (answer.bodyBytes === 3 << 20 ? null : `${answer.bodyBytes} bytes`),
      }),
    ],
    within: 4000,
  },
  {
    id: 'stalled-reader',
    rule: 'slow read',
    title: 'a client that never reads is cut off, and its upstream connection with it',
    steps: ({ path }) => [{ reading: false }, get(path), { wait: 5500 }, { reset: true }],
    upstream: {
      onRequest: (_request, connection) => connection.send(originAnswer(200, Buffer.alloc(32 << 20, 'x'))),
    },
    accept: [
      that('cut off', (run) =>
        run.requests[0]?.connection.closed ? null : 'the upstream connection is still open',
      ),
    ],
    maxAnswers: 1,
  },
  {
    id: 'slow-body',
    rule: 'slow body',
    title: 'a request body that stops is cut off with 408 or a close',
    methods: ['POST'],
    steps: ({ path }) => [
      `${head(`POST ${path} HTTP/1.1`, hostField, 'Content-Length: 50')}hello`,
      { closed: 5500 },
    ],
    accept: [refused(), refused({ codes: [408] })],
  },
  {
    id: 'slow-head',
    rule: 'slowloris',
    title: 'a head that drips is cut off with 408 or a close',
    steps: ({ path }) => ({
      drip: `GET ${path} HTTP/1.1\r\n${hostField}\r\nX-A: ${'a'.repeat(100)}`,
      every: 150,
      within: 5500,
    }),
    accept: [refused({ codes: [408] })],
  },
  {
    id: 'silent-after-answer',
    rule: 'timeouts',
    title: 'an idle connection is closed without a word',
    steps: ({ path }) => [get(path), { answers: 1 }, { closed: 6000 }],
    accept: [
      forwarded({
        close: true,
        check: (_r, _a, run) => (run.client.answers.length === 1 ? null : 'something was sent'),
      }),
    ],
  },
  {
    id: 'expect-unknown',
    rule: 'RFC 9110 10.1.1',
    title: 'an unknown expectation is 417, or the body stays framed',
    methods: ['POST'],
    steps: ({ path }) => post(path, 'hello', 'Expect: 200-ok'),
    accept: [refused({ codes: [417, 400], open: true }), forwarded({ body: 'hello' })],
  },
  {
    id: 'expect-guarded',
    rule: 'RFC 9110 10.1.1',
    title: 'no 100 for a request that a policy refuses',
    methods: ['POST'],
    steps: () => [
      head('POST /guarded HTTP/1.1', hostField, 'Content-Length: 5', 'Expect: 100-continue'),
      { answers: 1 },
    ],
    accept: [
      both(
        refused({ open: true }),
        that('no 100', (run) => (run.client.interim.length === 0 ? null : '100 was sent')),
      ),
    ],
  },
  {
    id: 'upload-then-answer',
    rule: 'RFC 9112 7.1',
    title: 'a chunked upload in many pieces arrives whole, as chunks or with a length',
    methods: ['POST'],
    steps: ({ path }) => [
      head(`POST ${path} HTTP/1.1`, hostField, 'Transfer-Encoding: chunked'),
      ...Array.from({ length: 20 }, () => `400\r\n${'y'.repeat(1024)}\r\n`),
      '0\r\n\r\n',
    ],
    accept: [forwarded({ check: (r) => (r.bodyBytes === 20480 ? null : `${r.bodyBytes} bytes`) })],
  },
  {
    id: 'upload-mixed',
    rule: 'RFC 9112 7.1',
    title: 'three uploads with different framings on one connection',
    methods: ['POST', 'POST', 'PUT'],
    steps: ({ path }) =>
      post(`${path}/1`, 'one') +
      head(`POST ${path}/2 HTTP/1.1`, hostField, 'Transfer-Encoding: chunked') +
      chunked('t', 'wo') +
      head(`PUT ${path}/3 HTTP/1.1`, hostField, 'Content-Length: 5') +
      'three',
    accept: [
      forwarded({
        count: 3,
        check: (_r, _a, run) => {
          const bodies = run.requests.map((request) => request.body.toString('latin1')).join()
          return bodies === 'one,two,three' ? null : bodies
        },
      }),
    ],
  },
]

const upload = Buffer.alloc(65536, 'u')

const stalls: WireCase[] = [
  {
    id: 'stalled-answer',
    rule: 'timeouts',
    title: 'an answer that stops half way is broken off, not ended',
    steps: ({ path }) => [get(path), { closed: 7000 }],
    upstream: {
      onRequest: (_request, connection) =>
        connection.send('HTTP/1.1 200 OK\r\nX-Origin: 1\r\nContent-Length: 100\r\n\r\nhalf'),
    },
    accept: [truncated],
  },
  {
    id: 'stalled-upload',
    rule: 'timeouts',
    title: 'an upstream that takes no more of the body is given up',
    methods: ['POST'],
    steps: ({ path }) => [
      head(`POST ${path} HTTP/1.1`, hostField, 'Content-Length: 100000000'),
      { flood: upload, times: 1500, within: 6000 },
      { closed: 3000 },
    ],
    upstream: { onHead: (_request, connection) => connection.socket.pause() },
    accept: [refused(), refused({ codes: [504] })],
  },
  {
    id: 'steady-upload',
    rule: 'timeouts',
    title: 'a body that comes slowly but steadily is not cut off',
    methods: ['POST'],
    steps: ({ path }) => [
      head(`POST ${path} HTTP/1.1`, hostField, 'Content-Length: 5'),
      ...[...'hello'].flatMap((letter) => [{ wait: 800 }, letter]),
    ],
    accept: [forwarded({ body: 'hello' })],
  },
  {
    id: 'steady-answer',
    rule: 'timeouts',
    title: 'an answer that comes slowly but steadily is not cut off',
    steps: ({ path }) => [get(path), { answers: 1, within: 7000 }],
    upstream: {
      onRequest: (_request, connection) => {
        connection.send('HTTP/1.1 200 OK\r\nX-Origin: 1\r\nContent-Length: 5\r\n\r\n')
        for (const [index, letter] of [...'hello'].entries()) {
          setTimeout(() => connection.send(letter), 900 * (index + 1))
        }
      },
    },
    accept: [
      forwarded({ check: (_r, answer) => (answer.body.toString('latin1') === 'hello' ? null : 'cut') }),
    ],
  },
  {
    id: 'pause-between-requests',
    rule: 'timeouts',
    title: 'a pause below the keep-alive time changes nothing',
    methods: ['GET', 'GET'],
    steps: ({ path }) => [get(`${path}/1`), { answers: 1 }, { wait: 2500 }, get(`${path}/2`)],
    accept: [forwarded({ count: 2 })],
  },
]

wireSuite('connections', [...interimCases, ...trailers, ...persistence, ...stalls])
wireSuiteOverTls('connections', [...interimCases, ...trailers, ...persistence])
