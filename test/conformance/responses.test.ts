/** What a hostile or broken upstream sends: RFC 9112 sections 4, 5, 6.3, 7 and 9. */
import { fieldValue } from '../harness/message-reader.ts'
import type { UpstreamScript } from '../harness/scripted-upstream.ts'
import { originAnswer } from '../harness/scripted-upstream.ts'
import { answered, badGateway, completeRequests, forwarded, that, truncated } from './outcomes.ts'
import { chunked, get, head, hostField, type Outcome, type WireCase } from './wire-case.ts'
import { wireSuite } from './wire-suite.ts'
import { wireSuiteOverTls } from './wire-suite-tls.ts'

const origin = 'X-Origin: 1'

interface Answering {
  /** How the upstream ends its connection after the bytes; absent: it stays open. */
  ending?: 'end' | 'reset'
  method?: string
  version?: string
  rule?: string
  more?: Partial<WireCase>
}

/** One request; the upstream answers with exactly these bytes. */
function answering(
  id: string,
  bytes: string | Buffer,
  title: string,
  accept: Outcome[],
  { ending, method = 'GET', version = '1.1', rule = 'RFC 9112 4', more = {} }: Answering = {},
): WireCase {
  return {
    id: `down-${id}`,
    rule,
    title,
    methods: [method],
    steps: ({ path }) => head(`${method} ${path} HTTP/${version}`, hostField),
    upstream: {
      onRequest: (_request, connection) => {
        connection.send(bytes)
        if (ending === 'end') connection.end()
        if (ending === 'reset') setTimeout(() => connection.reset(), 30)
      },
    },
    accept,
    ...more,
  }
}

const bodyIs = (
  body: string,
  more: (answer: import('../harness/message-reader.ts').Message) => string | null = () => null,
) =>
  forwarded({
    check: (_request, answer) =>
      answer.body.toString('latin1') === body
        ? more(answer)
        : `body ${JSON.stringify(answer.body.toString('latin1', 0, 60))}`,
  })

const withStatus = (line: string): string => `${line}\r\n${origin}\r\nContent-Length: 2\r\n\r\nok`

const statusLines: WireCase[] = [
  ...[
    'HTTP/1.1 20 OK',
    'HTTP/1.1 2000 OK',
    'HTTP/1.1 2',
    'HTTP/1.1 2xx OK',
    'HTTP/1.1 0x0 OK',
    'HTTP/1.1 -20 OK',
    'HTTP/1.1 +200 OK',
    'HTTP/1.1 2 00 OK',
    'HTTP/1.1 20\x000 OK',
    'HTTP/1.1 \xb2\xb0\xb0 OK',
    'HTTP/1.1 OK 200',
    'HTTP/1.1 OK',
    'HTTP/1.1',
    'HTTP/1.1 ',
    'HTTP/1.1 200OK',
    'HTTP/1.1 200,OK',
    'HTTP/1.1\t200 OK',
    'HTTP/1.1\x0b200 OK',
    'HTTP/1.1 200\rOK',
    'HTTP/2.0 200 OK',
    'HTTP/2 200 OK',
    'HTTP/3.0 200 OK',
    'HTTP/0.9 200 OK',
    'HTTP/1 200 OK',
    'HTTP/1. 200 OK',
    'HTTP/11 200 OK',
    'HTTP/1.1.1 200 OK',
    'HTTP/1.10 200 OK',
    'HTTP/x.y 200 OK',
    'HTTP 200 OK',
    'HTP/1.1 200 OK',
    'http/1.1 200 OK',
    'HTTPS/1.1 200 OK',
    'ICY 200 OK',
    'FTP/1.1 200 OK',
    'SIP/2.0 200 OK',
    ' HTTP/1.1 200 OK',
    '\tHTTP/1.1 200 OK',
    'XHTTP/1.1 200 OK',
    '\x00HTTP/1.1 200 OK',
    '220 smtp.test ESMTP',
    'GET / HTTP/1.1',
    'HTTP/1.1 000 Zero',
    'HTTP/1.1 099 Low',
  ].map((line, index) =>
    answering(`status-bad-${index}`, withStatus(line), `${JSON.stringify(line)} is no status line`, [
      badGateway,
    ]),
  ),
  ...[
    'HTTP/1.1 200 \x00',
    'HTTP/1.1 200 O\x00K',
    'HTTP/1.1 200 O\rK',
    'HTTP/1.1 200 O\x01K',
    'HTTP/1.1 200 O\x7fK',
    'HTTP/1.1 200 O\x1bK',
  ].map((line, index) =>
    answering(`reason-${index}`, withStatus(line), `${JSON.stringify(line)} is refused or cleaned`, [
      badGateway,
      bodyIs('ok', (answer) =>
        /[\x00-\x08\x0a-\x1f\x7f]/.test(answer.reason) ? 'the control was passed on' : null,
      ),
    ]),
  ),
  ...['HTTP/1.1  200 OK', 'HTTP/1.2 200 OK', 'HTTP/1.1 200 OK\r', '\r\nHTTP/1.1 200 OK'].map((line, index) =>
    answering(`status-odd-${index}`, withStatus(line), `${JSON.stringify(line)} is refused or made clean`, [
      badGateway,
      bodyIs('ok'),
    ]),
  ),
  ...[
    'HTTP/1.1 200 ',
    'HTTP/1.1 200',
    'HTTP/1.1 200 \xd6K',
    'HTTP/1.1 200 Very long \t reason',
    'HTTP/1.1 299 Odd',
    'HTTP/1.0 200 OK',
  ].map((line, index) =>
    answering(`status-good-${index}`, withStatus(line), `${JSON.stringify(line)} is fine`, [
      bodyIsWithAnyStatus('ok'),
    ]),
  ),
  ...[600, 700, 999].map((status) =>
    answering(`status-${status}`, withStatus(`HTTP/1.1 ${status} Far`), `${status} is passed on or refused`, [
      badGateway,
      answered([status]),
    ]),
  ),
  ...[400, 401, 404, 407, 408, 421, 426, 500, 502, 503].map((status) =>
    answering(`status-${status}`, withStatus(`HTTP/1.1 ${status} Whatever`), `${status} is passed on`, [
      answered([status], (answer) =>
        answer.body.toString('latin1') === 'ok' ? null : 'the body was changed',
      ),
    ]),
  ),
  answering('html-only', '<html>hello</html>\n', 'HTTP/0.9 is not an answer', [badGateway], {
    ending: 'end',
  }),
  answering('nothing', '', 'closing without a byte is 502', [answered([502])], { ending: 'end' }),
  answering('nothing-reset', '', 'a reset without a byte is 502', [answered([502])], { ending: 'reset' }),
  answering('line-only', 'HTTP/1.1 200 OK\r\n', 'half a head is 502', [answered([502])], { ending: 'end' }),
  answering(
    'head-without-end',
    `HTTP/1.1 200 OK\r\n${origin}\r\nX-A: poi`,
    'a head that is cut off is 502',
    [answered([502])],
    { ending: 'reset' },
  ),
  answering('silent', '', 'an upstream that never answers is 504', [answered([504])], {
    more: { within: 5000 },
  }),
  answering('tls-alert', Buffer.from('15030300020228', 'hex'), 'a TLS alert is 502', [badGateway], {
    ending: 'end',
  }),
]

function bodyIsWithAnyStatus(body: string): Outcome {
  return answered(
    (status) => status >= 200 && status < 300,
    (answer) =>
      answer.body.toString('latin1') === body
        ? null
        : `body ${JSON.stringify(answer.body.toString('latin1'))}`,
  )
}

const framed = (fields: string, body = 'hello'): string =>
  `HTTP/1.1 200 OK\r\n${origin}\r\n${fields}\r\n\r\n${body}`
const oneFraming: Outcome = that('one framing', (run) => {
  const [answer] = run.client.answers
  if (!answer) return 'no answer'
  const both =
    fieldValue(answer, 'content-length') !== undefined &&
    fieldValue(answer, 'transfer-encoding') !== undefined
  if (both) return 'both Content-Length and Transfer-Encoding'
  return answer.complete && answer.body.toString('latin1') === 'hello' ? null : 'the body is wrong'
})

const framing: WireCase[] = [
  ...[
    'Content-Length: 5\r\nContent-Length: 6',
    'Content-Length: 6\r\nContent-Length: 5',
    'Content-Length: 5\r\nContent-Length: 0',
    'Content-Length: 5\r\nContent-Length:',
    'Content-Length:\r\nContent-Length: 5',
    'Content-Length: 5, 6',
    'Content-Length: 5,',
    'Content-Length: -5',
    'Content-Length: -1',
    'Content-Length: +5',
    'Content-Length: 0x5',
    'Content-Length: 5x',
    'Content-Length: 5 5',
    'Content-Length: 5_0',
    'Content-Length: 5.0',
    'Content-Length: 5e0',
    'Content-Length:',
    'Content-Length: five',
    'Content-Length: "5"',
    'Content-Length: \x0b5',
    'Content-Length: 5\x0c',
    'Content-Length: 5\x00',
    'Content-Length: 5\xa0',
    'Content-Length: 18446744073709551621',
    `Content-Length: ${'9'.repeat(40)}`,
    'Content-Length : 5\r\nContent-Length: 6',
  ].map((fields, index) =>
    answering(`length-bad-${index}`, framed(fields), `${JSON.stringify(fields)} is 502`, [badGateway], {
      rule: 'RFC 9112 6.3(5)',
      ending: 'end',
    }),
  ),
  ...[
    'Content-Length: 5\r\nContent-Length: 5',
    'Content-Length: 5, 5',
    'Content-Length: 05',
    'Content-Length:\t5 ',
  ].map((fields, index) =>
    answering(
      `length-odd-${index}`,
      framed(fields),
      `${JSON.stringify(fields)} is sent on as one length, or 502`,
      [oneFraming, badGateway],
      {
        rule: 'RFC 9112 6.3(5)',
      },
    ),
  ),
  answering(
    'length-huge',
    framed('Content-Length: 9007199254740993'),
    'a length beyond 2^53',
    [badGateway, truncated],
    { ending: 'end' },
  ),
  ...[
    'Content-Length: 3\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nContent-Length: 500',
    'Transfer-Encoding: chunked\r\nContent-Length: 0',
  ].map((fields, index) =>
    answering(
      `length-and-chunked-${index}`,
      framed(fields, chunked('hello')),
      `${JSON.stringify(fields)}: chunked wins, or 502`,
      [oneFraming, badGateway],
      {
        rule: 'RFC 9112 6.3(3)',
      },
    ),
  ),
  ...[
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: chunked, gzip',
    'Transfer-Encoding: chunked, chunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: "chunked"',
    'Transfer-Encoding: chunked\x0b',
    'Transfer-Encoding: chunked\x00',
    'Transfer-Encoding: chunked\xa0',
    'Transfer-Encoding: chun\xe2\x84\xaaed',
    'Transfer-Encoding:',
    'Transfer-Encoding: ,',
    'Transfer-Encoding: chunked;q=1',
  ].map((fields, index) =>
    answering(
      `coding-bad-${index}`,
      framed(fields, chunked('hello')),
      `${JSON.stringify(fields)} is 502, or ends with the connection`,
      [
        badGateway,
        that('raw until the close', ({ client: { answers, closed } }) => {
          const [answer] = answers
          if (!closed) return 'connection left open'
          if (fieldValue(answer!, 'transfer-encoding') !== undefined) return 'the coding was passed on'
          return answer?.framing === 'close' ? null : `framing ${answer?.framing}`
        }),
      ],
      { rule: 'RFC 9112 6.3(4)', ending: 'end' },
    ),
  ),
  ...[
    'Transfer-Encoding: Chunked',
    'Transfer-Encoding:chunked',
    'Transfer-Encoding: \tchunked ',
    'transfer-encoding: CHUNKED',
  ].map((fields, index) =>
    answering(
      `coding-good-${index}`,
      framed(fields, chunked('hel', 'lo')),
      `${JSON.stringify(fields)} is chunked`,
      [bodyIs('hello')],
    ),
  ),
  ...[
    'Transfer-Encoding: ,chunked',
    'Transfer-Encoding: chunked,',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding\t: chunked',
  ].map((fields, index) =>
    answering(
      `coding-odd-${index}`,
      framed(fields, chunked('hello')),
      `${JSON.stringify(fields)} is chunked, or 502`,
      [bodyIs('hello'), badGateway],
      {
        ending: 'end',
      },
    ),
  ),
  answering(
    'coding-in-10',
    `HTTP/1.0 200 OK\r\n${origin}\r\nTransfer-Encoding: chunked\r\n\r\n${chunked('hello')}`,
    'Transfer-Encoding in HTTP/1.0: de-chunked and closed, or 502',
    [bodyIs('hello'), badGateway],
    {
      rule: 'RFC 9112 6.1',
      ending: 'end',
    },
  ),
  answering(
    'gzip-chunked',
    framed('Transfer-Encoding: gzip, chunked', chunked('hello')),
    'a coding beside chunked is never silently dropped',
    [
      badGateway,
      forwarded({
        check: (_r, answer) =>
          /gzip/i.test(fieldValue(answer, 'transfer-encoding') ?? '') ? null : 'gzip was dropped',
      }),
    ],
    { ending: 'end' },
  ),
]

const chunkedStart = framed('Transfer-Encoding: chunked', '5\r\nhello\r\n')
const chunks: WireCase[] = [
  ...[
    'zz\r\nhello\r\n0\r\n\r\n',
    '-5\r\nhello\r\n0\r\n\r\n',
    '+5\r\nhello\r\n0\r\n\r\n',
    '0x5\r\nhello\r\n0\r\n\r\n',
    ' 5\r\nhello\r\n0\r\n\r\n',
    '5_\r\nhello\r\n0\r\n\r\n',
    '\r\nhello\r\n0\r\n\r\n',
    '5\rXhello\r\n0\r\n\r\n',
    '5\r\r\nhello\r\n0\r\n\r\n',
    '5\x00\r\nhello\r\n0\r\n\r\n',
    '10000000000000005\r\nhello\r\n0\r\n\r\n',
    'ffffffffffffffff\r\nhello\r\n0\r\n\r\n',
    `${'f'.repeat(4000)}\r\nhello\r\n0\r\n\r\n`,
    '5\r\nhello0\r\n\r\n',
    '5\r\nhelloXX0\r\n\r\n',
    '5\r\nhelloworld\r\n0\r\n\r\n',
    '5\r\nhello\r0\r\n\r\n',
    '5\r\nhello\r\n\r\n0\r\n\r\n',
    '5\r\nhello\r\n0\r\nX-A : 1\r\n\r\n',
    '5\r\nhello\r\n0\r\nX A: 1\r\n\r\n',
    '5\r\nhello\r\n0\r\nX-A: \x00\r\n\r\n',
    '5\r\nhello\r\n0\r\nword\r\n\r\n',
    '5\r\nhello\r\n0\r\n: 1\r\n\r\n',
    '5\r\nhello\r\n0\r\nX-A: 1\r\n 2\r\n\r\n',
    '5\r\nhello\r\n0\r\nX-A: 1\rX\r\n\r\n',
    '5;a=\rb\r\nhello\r\n0\r\n\r\n',
  ].map((body, index) =>
    answering(
      `chunk-bad-${index}`,
      framed('Transfer-Encoding: chunked', body),
      `${JSON.stringify(body.slice(0, 40))} never looks like a clean end`,
      [truncated, badGateway],
      {
        rule: 'RFC 9112 7.1',
        ending: 'end',
      },
    ),
  ),
  ...[
    '5\nhello\r\n0\r\n\r\n',
    '5\r\nhello\n0\r\n\r\n',
    '5\r\nhello\r\n0\n\n',
    '5 \r\nhello\r\n0\r\n\r\n',
    '5;\nhello\r\n0\r\n\r\n',
    `${'0'.repeat(3000)}5\r\nhello\r\n0\r\n\r\n`,
  ].map((body, index) =>
    answering(
      `chunk-odd-${index}`,
      framed('Transfer-Encoding: chunked', body),
      `${JSON.stringify(body.slice(0, 40))} is broken off, or made clean`,
      [truncated, badGateway, bodyIs('hello')],
      {
        rule: 'RFC 9112 7.1',
        ending: 'end',
      },
    ),
  ),
  answering(
    'chunk-extension',
    framed('Transfer-Encoding: chunked', '5;a="b;c"\r\nhello\r\n0;x\r\n\r\n'),
    'extensions stop here',
    [
      bodyIs('hello', (answer) => (answer.chunkExtensions > 0 ? 'an extension was passed on' : null)),
      truncated,
    ],
    { rule: 'RFC 9112 7.1.1' },
  ),
  answering(
    'chunk-extension-long',
    framed('Transfer-Encoding: chunked', `5;a=${'x'.repeat(200_000)}\r\nhello\r\n0\r\n\r\n`),
    'a very long extension is bounded',
    [
      bodyIs('hello', (answer) => (answer.chunkExtensions > 0 ? 'an extension was passed on' : null)),
      truncated,
    ],
    { ending: 'end' },
  ),
  ...(['end', 'reset'] as const).flatMap((ending) => [
    answering(
      `cut-length-${ending}`,
      framed('Content-Length: 50'),
      `a short body, then ${ending}: not a clean end`,
      [truncated],
      { rule: 'RFC 9112 8', ending },
    ),
    answering(
      `cut-chunk-${ending}`,
      framed('Transfer-Encoding: chunked', '50\r\nhello'),
      `inside a chunk, then ${ending}: not a clean end`,
      [truncated],
      { rule: 'RFC 9112 8', ending },
    ),
    answering(
      `cut-last-${ending}`,
      chunkedStart,
      `no last chunk, then ${ending}: none is made up`,
      [truncated],
      {
        rule: 'RFC 9112 8',
        ending,
      },
    ),
    answering(
      `cut-zero-${ending}`,
      `${chunkedStart}0\r\n`,
      `last chunk without its end, then ${ending}`,
      [truncated],
      { rule: 'RFC 9112 8', ending },
    ),
    answering(
      `cut-trailer-${ending}`,
      `${chunkedStart}0\r\nX-Sum: 1\r\n`,
      `unfinished trailers, then ${ending}`,
      [truncated],
      { rule: 'RFC 9112 8', ending },
    ),
  ]),
  answering(
    'close-delimited',
    `HTTP/1.1 200 OK\r\n${origin}\r\n\r\nhello`,
    'a body that ends with the connection is whole',
    [bodyIs('hello')],
    { ending: 'end' },
  ),
  answering(
    'close-delimited-10',
    `HTTP/1.0 200 OK\r\n${origin}\r\n\r\nhello`,
    'the same from HTTP/1.0',
    [bodyIs('hello')],
    { ending: 'end' },
  ),
  answering(
    'close-delimited-empty',
    `HTTP/1.1 200 OK\r\n${origin}\r\n\r\n`,
    'the same without a byte',
    [bodyIs('')],
    { ending: 'end' },
  ),
  answering(
    'close-delimited-reset',
    `HTTP/1.1 200 OK\r\n${origin}\r\n\r\n${'h'.repeat(50000)}`,
    'a reset is no clean end',
    [truncated],
    { rule: 'RFC 9112 8', ending: 'reset' },
  ),
]

/** Two requests one after the other; the first answer is followed by bytes that nobody asked for. */
function surplus(id: string, title: string, script: UpstreamScript, more: Partial<WireCase> = {}): WireCase {
  return {
    id: `surplus-${id}`,
    rule: 'RFC 9112 9.2',
    title,
    methods: ['GET', 'GET'],
    steps: ({ path }) => [get(`${path}/1`), { answers: 1 }, { wait: 60 }, get(`${path}/2`)],
    upstream: script,
    accept: [
      that('own answers', (run) => {
        const [, second] = run.client.answers
        if (!second) return run.client.closed ? null : 'no second answer'
        if (second.status >= 500) return null
        const text = second.body.toString('latin1')
        return text.includes('/2 ') ? null : `the second answer is ${JSON.stringify(text.slice(0, 60))}`
      }),
    ],
    ...more,
  }
}
const firstThen = (bytes: string): UpstreamScript => ({
  onRequest: (request, connection) => {
    if (request.target.endsWith('/1')) connection.send(originAnswer(200, 'first ')).send(bytes)
    else connection.echo(request)
  },
})
const stray = 'HTTP/1.1 200 OK\r\nX-Origin: 1\r\nContent-Length: 6\r\n\r\npoison'

const surplusCases: WireCase[] = [
  surplus('bytes', 'bytes after a Content-Length body', firstThen('poison')),
  surplus('crlf', 'an empty line after the body', firstThen('\r\n')),
  surplus('answer', 'a second answer in the same segment', firstThen(stray)),
  surplus('half', 'half an answer in the same segment', firstThen(stray.slice(0, 30))),
  surplus('100', 'a 100 after the final answer', firstThen('HTTP/1.1 100 Continue\r\n\r\n')),
  surplus(
    '408',
    'a 408 after the final answer',
    firstThen('HTTP/1.1 408 poison\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'),
  ),
  surplus('later', 'an answer on the idle connection', {
    onRequest: (request, connection) => {
      connection.echo(request)
      if (request.target.endsWith('/1')) setTimeout(() => connection.send(stray), 25)
    },
  }),
  surplus('later-half', 'half an answer on the idle connection', {
    onRequest: (request, connection) => {
      connection.echo(request)
      if (request.target.endsWith('/1')) setTimeout(() => connection.send(stray.slice(0, 20)), 25)
    },
  }),
  surplus('later-408', 'a 408 and FIN on the idle connection', {
    onRequest: (request, connection) => {
      connection.echo(request)
      if (!request.target.endsWith('/1')) return
      setTimeout(
        () => connection.send('HTTP/1.1 408 poison\r\nConnection: close\r\nContent-Length: 0\r\n\r\n').end(),
        25,
      )
    },
  }),
  surplus('chunked', 'bytes after the last chunk', {
    onRequest: (request, connection) => {
      if (request.target.endsWith('/1'))
        connection.send(framed('Transfer-Encoding: chunked', `${chunked('first ')}poison`))
      else connection.echo(request)
    },
  }),
  surplus('chunked-answer', 'an answer after the last chunk', {
    onRequest: (request, connection) => {
      if (request.target.endsWith('/1'))
        connection.send(framed('Transfer-Encoding: chunked', chunked('first ') + stray))
      else connection.echo(request)
    },
  }),
  ...[204, 304].flatMap((status) =>
    [stray, 'poison'].map((bytes, index) =>
      surplus(`${status}-${index}`, `a ${status} with ${index === 0 ? 'an answer' : 'bytes'} behind it`, {
        onRequest: (request, connection) => {
          if (request.target.endsWith('/1'))
            connection.send(`HTTP/1.1 ${status} X\r\n${origin}\r\n\r\n${bytes}`)
          else connection.echo(request)
        },
      }),
    ),
  ),
  surplus('304-length', 'a 304 with Content-Length and a body of that length', {
    onRequest: (request, connection) => {
      if (request.target.endsWith('/1'))
        connection.send(`HTTP/1.1 304 X\r\n${origin}\r\nContent-Length: 6\r\n\r\npoison`)
      else connection.echo(request)
    },
  }),
  surplus(
    'head',
    'an answer to HEAD with a body',
    {
      onRequest: (request, connection) => {
        if (request.method === 'HEAD') connection.send(originAnswer(200, 'poison'))
        else connection.echo(request)
      },
    },
    {
      methods: ['HEAD', 'GET'],
      steps: ({ path }) => [
        head(`HEAD ${path}/1 HTTP/1.1`, hostField),
        { answers: 1 },
        { wait: 40 },
        get(`${path}/2`),
      ],
    },
  ),
  surplus(
    'head-chunked',
    'an answer to HEAD with a chunked body',
    {
      onRequest: (request, connection) => {
        if (request.method === 'HEAD')
          connection.send(framed('Transfer-Encoding: chunked', chunked('poison')))
        else connection.echo(request)
      },
    },
    {
      methods: ['HEAD', 'GET'],
      steps: ({ path }) => [
        head(`HEAD ${path}/1 HTTP/1.1`, hostField),
        { answers: 1 },
        { wait: 40 },
        get(`${path}/2`),
      ],
    },
  ),
]

const bodiless: WireCase[] = [
  answering(
    '304-length',
    `HTTP/1.1 304 Not Modified\r\n${origin}\r\nETag: "a"\r\nContent-Length: 500\r\n\r\n`,
    'a 304 may say how long the body would be',
    [answered([304], (answer) => (fieldValue(answer, 'etag') === '"a"' ? null : 'ETag was lost'))],
  ),
  answering(
    '304-chunked',
    `HTTP/1.1 304 Not Modified\r\n${origin}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    'a 304 with Transfer-Encoding has no body',
    [answered([304])],
  ),
  answering(
    '204-length',
    `HTTP/1.1 204 No Content\r\n${origin}\r\nContent-Length: 0\r\n\r\n`,
    'a 204 loses its framing fields',
    [
      answered([204], (answer) =>
        fieldValue(answer, 'content-length') === undefined ? null : 'Content-Length was kept',
      ),
    ],
  ),
  answering(
    '204-length-5',
    `HTTP/1.1 204 No Content\r\n${origin}\r\nContent-Length: 5\r\n\r\n`,
    'a 204 with a length has no body',
    [answered([204]), badGateway],
  ),
  answering(
    '204-chunked',
    `HTTP/1.1 204 No Content\r\n${origin}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    'a 204 with Transfer-Encoding has no body',
    [answered([204]), badGateway],
  ),
  answering(
    '205',
    `HTTP/1.1 205 Reset Content\r\n${origin}\r\nContent-Length: 0\r\n\r\n`,
    'a 205 has an empty body',
    [answered([205])],
  ),
  answering(
    'head-length',
    `HTTP/1.1 200 OK\r\n${origin}\r\nContent-Length: 500\r\n\r\n`,
    'the length of an answer to HEAD is kept',
    [
      forwarded({
        check: (_r, answer) =>
          fieldValue(answer, 'content-length') === '500' ? null : 'Content-Length was changed',
      }),
    ],
    { method: 'HEAD' },
  ),
  answering(
    'head-chunked',
    `HTTP/1.1 200 OK\r\n${origin}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    'an answer to HEAD may be chunked, without a body',
    [forwarded()],
    { method: 'HEAD' },
  ),
  answering(
    'head-nothing',
    `HTTP/1.1 200 OK\r\n${origin}\r\n\r\n`,
    'an answer to HEAD needs no framing',
    [forwarded()],
    { method: 'HEAD' },
  ),
  answering('length-0', `HTTP/1.1 200 OK\r\n${origin}\r\nContent-Length: 0\r\n\r\n`, 'an empty body', [
    bodyIs(''),
  ]),
]

const notTo10: Outcome = forwarded({
  close: true,
  check: (_request, answer) => {
    if (fieldValue(answer, 'transfer-encoding') !== undefined) return 'Transfer-Encoding was sent to HTTP/1.0'
    return answer.body.toString('latin1') === 'hello' ? null : 'the body is wrong'
  },
})
const for10: WireCase[] = [
  answering(
    'to-10-chunked',
    framed('Transfer-Encoding: chunked', chunked('hel', 'lo')),
    'HTTP/1.0 gets no chunks',
    [notTo10],
    { version: '1.0', rule: 'RFC 9112 7.1' },
  ),
  answering(
    'to-10-chunked-trailer',
    framed('Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n'),
    'HTTP/1.0 gets no trailers',
    [notTo10],
    { version: '1.0' },
  ),
  answering('to-10-length', framed('Content-Length: 5'), 'HTTP/1.0 gets a length', [notTo10], {
    version: '1.0',
  }),
  answering(
    'to-10-close',
    `HTTP/1.1 200 OK\r\n${origin}\r\n\r\nhello`,
    'HTTP/1.0 gets a body that ends with the connection',
    [notTo10],
    { version: '1.0', ending: 'end' },
  ),
  answering(
    'to-10-chunked-cut',
    chunkedStart,
    'a chunked answer that is cut off is no clean end for HTTP/1.0',
    [truncated],
    { version: '1.0', rule: 'RFC 9112 8', ending: 'reset' },
  ),
  {
    id: 'down-to-10-lasting',
    rule: 'RFC 9112 9.3',
    title: 'HTTP/1.0 with keep-alive gets no chunks either',
    steps: ({ path }) => head(`GET ${path} HTTP/1.0`, hostField, 'Connection: keep-alive'),
    upstream: {
      onRequest: (_request, connection) =>
        connection.send(framed('Transfer-Encoding: chunked', chunked('hello'))),
    },
    accept: [notTo10],
  },
]

const fieldsOf = (line: string): string =>
  `HTTP/1.1 200 OK\r\n${origin}\r\n${line}\r\nContent-Length: 2\r\n\r\nok`
const fieldCases: WireCase[] = [
  ...[
    'X-A: a\x00b',
    'X-A: \x00',
    'X-A: a\rb',
    'X-A: a\rSet-Cookie: x=1',
    'X-A: a\x01b',
    'X-A: a\x7fb',
    'X\x00A: 1',
    'X A: 1',
    ': 1',
    'word',
    'X(A): 1',
    'X\xc4: 1',
    ' X-A: 1',
    '\rX-A: 1',
    'X-A\x0b: 1',
  ].map((line, index) =>
    answering(
      `field-bad-${index}`,
      fieldsOf(line),
      `${JSON.stringify(line)} is 502, dropped or cleaned`,
      [
        badGateway,
        forwarded({
          label: 'cleaned',
          check: (_request, answer) =>
            answer.fields.some((field) => /[\x00-\x08\x0a-\x1f\x7f]/.test(field.name + field.value))
              ? 'a control was passed on'
              : null,
        }),
      ],
      { rule: 'RFC 9112 5' },
    ),
  ),
  ...['X-A : 1', 'X-A\t: 1'].map((line, index) =>
    answering(
      `field-space-${index}`,
      fieldsOf(line),
      `${JSON.stringify(line)}: the space is removed, or 502`,
      [
        badGateway,
        forwarded({
          check: (_r, answer) => (fieldValue(answer, 'x-a') === '1' ? null : 'the field is wrong'),
        }),
      ],
      { rule: 'RFC 9112 5.1' },
    ),
  ),
  ...['X-A: a\r\n b', 'X-A: a\r\n\tb', 'X-A: a\n b'].map((line, index) =>
    answering(
      `field-fold-${index}`,
      fieldsOf(line),
      `${JSON.stringify(line)} is joined with a space, or 502`,
      [
        badGateway,
        forwarded({
          check: (_r, answer) =>
            fieldValue(answer, 'x-a') === 'a b' ? null : `X-A: ${fieldValue(answer, 'x-a')}`,
        }),
      ],
      { rule: 'RFC 9112 5.2' },
    ),
  ),
  answering(
    'field-lf',
    `HTTP/1.1 200 OK\n${origin}\nContent-Length: 2\n\nok`,
    'bare LF line ends are made clean, or 502',
    [badGateway, bodyIs('ok')],
  ),
  answering('field-8-bit', fieldsOf('X-A: \xc3\xa9\xff'), '8-bit values pass byte for byte', [
    forwarded({
      check: (_r, answer) => (fieldValue(answer, 'x-a') === '\xc3\xa9\xff' ? null : 'the value was changed'),
    }),
  ]),
  answering('field-proto', fieldsOf('__proto__: 1'), '__proto__ is only a name', [forwarded()]),
  answering(
    'field-fold-framing',
    `HTTP/1.1 200 OK\r\n${origin}\r\nContent-Length:\r\n 2\r\n\r\nok`,
    'a folded Content-Length is 502, or read in one way',
    [badGateway, bodyIs('ok')],
    { ending: 'end' },
  ),
  answering('head-8k', fieldsOf(`X-A: ${'v'.repeat(8000)}`), 'a field of 8000 bytes is fine', [
    forwarded({
      check: (_r, answer) => (fieldValue(answer, 'x-a')?.length === 8000 ? null : 'the value was cut'),
    }),
  ]),
  answering(
    'head-1m',
    fieldsOf(`X-A: ${'v'.repeat(1 << 20)}`),
    'a head of 1 MiB is 502, or whole',
    [
      badGateway,
      forwarded({
        check: (_r, answer) => (fieldValue(answer, 'x-a')?.length === 1 << 20 ? null : 'the value was cut'),
      }),
    ],
    { more: { within: 3000 } },
  ),
  answering(
    'fields-90',
    fieldsOf(Array.from({ length: 90 }, (_, i) => `X-${i}: v`).join('\r\n')),
    '90 fields are fine',
    [
      forwarded({
        check: (_r, answer) =>
          answer.fields.filter((field) => /^x-\d+$/.test(field.lower)).length === 90 ? null : 'some are lost',
      }),
    ],
  ),
  ...[1000, 5000].map((count) =>
    answering(
      `fields-${count}`,
      fieldsOf(Array.from({ length: count }, (_, i) => `X-${i}: v`).join('\r\n')),
      `${count} fields: 502, or all of them`,
      [
        badGateway,
        forwarded({
          check: (_r, answer) =>
            answer.fields.filter((field) => /^x-\d+$/.test(field.lower)).length === count
              ? null
              : 'some are lost',
        }),
      ],
      { more: { within: 3000 } },
    ),
  ),
  answering(
    'length-late',
    fieldsOf(Array.from({ length: 2600 }, (_, i) => `a${i}:`).join('\r\n')),
    'Content-Length as field 2600 is not overlooked',
    [badGateway, bodyIs('ok')],
    { more: { within: 3000 } },
  ),
]

/** An upstream that never stops; the gateway must. */
function endless(id: string, title: string, start: string, unit: string, most: number): WireCase {
  return {
    id: `down-endless-${id}`,
    rule: 'limits',
    title,
    steps: ({ path }) => get(path),
    upstream: {
      onRequest: (_request, connection) => {
        const { socket } = connection
        socket.write(start, 'latin1')
        const block = Buffer.from(unit.repeat(Math.ceil(65536 / unit.length)), 'latin1')
        const pour = () => {
          while (!socket.destroyed && socket.bytesWritten < 4 * most) if (!socket.write(block)) return
        }
        socket.on('drain', pour)
        pour()
      },
    },
    accept: [
      that('cut off', (run) => {
        const taken = run.connections.map(({ socket }) => socket.bytesWritten - socket.writableLength)
        if (Math.max(...taken) > most) return `took ${Math.max(...taken)} bytes`
        return run.client.closed || run.client.answers.some((answer) => answer.complete)
          ? null
          : 'no end in sight'
      }),
    ],
    within: 3000,
    maxAnswers: 1,
  }
}
const endlessCases: WireCase[] = [
  endless('status-line', 'a status line without end', 'HTTP/1.1 200 ', 'a', 8 << 20),
  endless('field', 'a field without end', 'HTTP/1.1 200 OK\r\nX-A: ', 'a', 8 << 20),
  endless('fields', 'fields without end', 'HTTP/1.1 200 OK\r\n', 'X-A: aaaaaaaa\r\n', 8 << 20),
  endless('empty-lines', 'empty lines without end', '', '\r\n', 8 << 20),
  endless('103', '103 without end', '', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', 8 << 20),
  endless('100', '100 without end', '', 'HTTP/1.1 100 Continue\r\n\r\n', 8 << 20),
  endless(
    'extension',
    'a chunk extension without end',
    framed('Transfer-Encoding: chunked', '5;a='),
    'a',
    8 << 20,
  ),
  endless('trailers', 'trailers without end', `${chunkedStart}0\r\n`, 'X-A: aaaaaaaa\r\n', 8 << 20),
]

const early: WireCase[] = [
  {
    id: 'early-answer',
    rule: 'RFC 9112 9.3',
    title:
      'an answer before the end of the body is delivered, and that upstream connection is not used again',
    methods: ['POST'],
    steps: ({ path }) => [
      `POST ${path} HTTP/1.1\r\n${hostField}\r\nContent-Length: 1000\r\n\r\nabc`,
      { answers: 1, within: 1000 },
    ],
    upstream: { onHead: (_request, connection) => connection.send(originAnswer(403, 'no')) },
    accept: [
      answered([403], (_answer, run) => {
        const connection = run.requests[0]?.connection
        return connection && connection.requests.length > 1 ? 'the upstream connection was used again' : null
      }),
    ],
    within: 500,
  },
  {
    id: 'early-answer-rest',
    rule: 'request smuggling',
    title: 'the rest of a body that was answered early is never a request',
    methods: ['POST'],
    steps: ({ path, hidden }) => [
      head(`POST ${path} HTTP/1.1`, hostField, `Content-Length: ${hidden.length}`),
      { answers: 1, within: 1000 },
      hidden,
      { wait: 100 },
    ],
    upstream: {
      onHead: (_request, connection) => connection.send(originAnswer(403, 'no')),
      onRequest: () => {},
    },
    accept: [answered([403])],
    within: 500,
  },
  {
    id: 'early-answer-chunked',
    rule: 'request smuggling',
    title: 'the same with a chunked body',
    methods: ['POST'],
    steps: ({ path, hidden }) => [
      head(`POST ${path} HTTP/1.1`, hostField, 'Transfer-Encoding: chunked'),
      { answers: 1, within: 1000 },
      chunked(hidden) + hidden,
      { wait: 100 },
    ],
    maxAnswers: 2,
    upstream: {
      onHead: (request, connection) => {
        if (request.method === 'POST') connection.send(originAnswer(403, 'no'))
      },
    },
    // The body ends, so what comes behind it is an ordinary request, when the connection is still open.
    except: ['smuggled'],
    accept: [
      answered([403], (_answer, run) => (run.requests.length <= 2 ? null : 'more requests than were sent')),
    ],
    within: 500,
  },
  {
    id: 'early-close',
    rule: 'RFC 9112 9.5',
    title: 'an early 413 with a close reaches a client that is still sending',
    methods: ['POST'],
    steps: ({ path }) => [
      `POST ${path} HTTP/1.1\r\n${hostField}\r\nContent-Length: 4000000\r\n\r\n`,
      { flood: Buffer.alloc(20000, 'x'), times: 20, within: 600 },
    ],
    upstream: {
      onHead: (_request, connection) =>
        connection.send(originAnswer(413, 'too large', 'Connection: close')).end(),
    },
    accept: [answered([413]), answered([502])],
  },
  {
    id: 'reuse-after-abort',
    rule: 'RFC 9112 9.3',
    title: 'an upstream connection with half an answer in it is never used again',
    methods: ['GET'],
    steps: ({ path }) => [get(path), { see: 'hel' }, { reset: true }],
    upstream: { onRequest: (_request, connection) => connection.send(framed('Content-Length: 500', 'hel')) },
    accept: [
      that('closed', (run) => {
        const connection = run.requests[0]?.connection
        return connection?.closed && connection.requests.length === 1
          ? null
          : 'the upstream connection is still open'
      }),
    ],
    after: 200,
  },
  {
    id: 'http10-upstream',
    rule: 'RFC 9112 9.3',
    title: 'an HTTP/1.0 answer without keep-alive ends its connection',
    methods: ['GET', 'GET'],
    steps: ({ path }) => [get(`${path}/1`), { answers: 1 }, get(`${path}/2`)],
    upstream: {
      onRequest: (_request, connection) =>
        connection.send(`HTTP/1.0 200 OK\r\n${origin}\r\nContent-Length: 2\r\n\r\nok`),
    },
    accept: [
      forwarded({
        count: 2,
        check: (_r, answer, run) => {
          if (answer.version === '1.0') return `version ${answer.version} was passed on`
          return completeRequests(run).every((request) => request.earlierOnConnection === 0)
            ? null
            : 'used again'
        },
      }),
    ],
  },
]

wireSuite('hostile responses', [
  ...statusLines,
  ...framing,
  ...chunks,
  ...surplusCases,
  ...bodiless,
  ...for10,
  ...fieldCases,
  ...endlessCases,
  ...early,
])
wireSuiteOverTls('hostile responses', [...framing, ...bodiless, ...for10, ...early])
