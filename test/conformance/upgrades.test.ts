/** WebSocket handshakes and tunnels: RFC 9110 section 7.8, RFC 6455 section 4. */
import { fieldValue } from '../harness/message-reader.ts'
import type { UpstreamScript } from '../harness/scripted-upstream.ts'
import { answered, badGateway, both, forwarded, refused, that } from './outcomes.ts'
import { get, head, hostField, type Outcome, type WireCase } from './wire-case.ts'
import { wireSuite } from './wire-suite.ts'
import { wireSuiteOverTls } from './wire-suite-tls.ts'

const handshake = (path: string, ...more: string[]): string =>
  get(
    path,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...more,
  )

const switching = (...fields: string[]): string =>
  head('HTTP/1.1 101 Switching Protocols', 'X-Origin: 1', ...fields)
const accepted = switching(
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
)

/** Accepts the upgrade and sends back what it gets. */
const echoTunnel: UpstreamScript = {
  onRequest: (_request, connection) => connection.openTunnel().send(accepted),
  onTunnel: (chunk, connection) => connection.send(chunk),
}
const switchWith = (bytes: string): UpstreamScript => ({
  onRequest: (_request, connection) => connection.openTunnel().send(bytes),
})

const tunnelBytes = (wanted: string): Outcome =>
  answered([101], (_answer, run) =>
    run.client.tunnel.toString('latin1') === wanted
      ? null
      : `the tunnel gave ${JSON.stringify(run.client.tunnel.toString('latin1'))}`,
  )
/** Served or refused, but as HTTP: no upgrade reaches the upstream. */
const notOffered: Outcome = that('not offered', (run) => {
  if (run.requests.some((request) => fieldValue(request, 'upgrade') !== undefined))
    return 'Upgrade reached the upstream'
  const [answer] = run.client.answers
  if (answer?.status === 101) return 'the client was switched'
  return answer || run.client.closed ? null : 'no answer'
})

const tunnels: WireCase[] = [
  {
    id: 'ws-echo',
    rule: 'RFC 6455 4',
    title: 'a WebSocket handshake opens a tunnel for both directions',
    steps: ({ path }) => [handshake(path), { answers: 1 }, 'ping', { see: 'ping' }, 'pong', { see: 'pong' }],
    upstream: echoTunnel,
    accept: [
      both(
        tunnelBytes('pingpong'),
        that('handshake kept', (run) => {
          const [request] = run.requests
          if (!request) return 'no request'
          if (!/^websocket$/i.test(fieldValue(request, 'upgrade') ?? ''))
            return `Upgrade: ${fieldValue(request, 'upgrade')}`
          if (!/^upgrade$/i.test(fieldValue(request, 'connection') ?? ''))
            return `Connection: ${fieldValue(request, 'connection')}`
          if (fieldValue(request, 'sec-websocket-key') === undefined) return 'the key is gone'
          const [answer] = run.client.answers
          if (!/^upgrade$/i.test(fieldValue(answer!, 'connection') ?? ''))
            return 'the answer lost Connection: upgrade'
          return /^websocket$/i.test(fieldValue(answer!, 'upgrade') ?? '') ? null : 'the answer lost Upgrade'
        }),
      ),
    ],
  },
  {
    id: 'ws-case',
    rule: 'RFC 6455 4.2.1',
    title: 'letter case and other Connection tokens do not matter',
    steps: ({ path }) => [
      get(
        path,
        'Connection: keep-alive, uPGRADE',
        'Upgrade: WebSocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ),
      { answers: 1 },
      'ping',
      { see: 'ping' },
    ],
    upstream: echoTunnel,
    accept: [tunnelBytes('ping')],
  },
  {
    id: 'ws-server-first',
    rule: 'RFC 6455 4',
    title: 'bytes behind the 101 in one segment belong to the tunnel',
    steps: ({ path }) => [handshake(path), { answers: 1 }, { see: 'hello' }],
    upstream: switchWith(`${accepted}hello`),
    accept: [tunnelBytes('hello')],
  },
  {
    id: 'ws-early-bytes',
    rule: 'CVE-2026-2833',
    title: 'bytes behind the handshake wait for the 101, or are refused',
    steps: ({ path }) => [
      `${handshake(path)}early`,
      { answers: 1, within: 900 },
      { see: 'early', within: 300 },
    ],
    upstream: {
      onRequest: (_request, connection) =>
        setTimeout(() => {
          if (connection.reader.leftover.length > 0) connection.send(originAnswer400())
          else connection.openTunnel().send(accepted)
        }, 120),
      onTunnel: (chunk, connection) => connection.send(chunk),
    },
    accept: [tunnelBytes('early'), refused(), refused({ upstream: 1 })],
  },
  {
    id: 'ws-early-request',
    rule: 'CVE-2026-2833',
    title: 'a request hidden behind a handshake that is refused does not bypass the gateway',
    steps: ({ path }) => `${handshake(path)}${get('/guarded')}`,
    methods: ['GET', 'GET'],
    upstream: {
      onRequest: (request, connection) => {
        if (request.target === '/guarded') connection.echo(request)
        else
          setTimeout(
            () => connection.send('HTTP/1.1 400 No\r\nX-Origin: 1\r\nContent-Length: 0\r\n\r\n'),
            100,
          )
      },
    },
    accept: [
      that('guarded', (run) =>
        run.requests.some((request) => request.target === '/guarded') ? 'it arrived' : null,
      ),
    ],
  },
  {
    id: 'ws-refused',
    rule: 'RFC 9110 7.8',
    title: 'a refused handshake stays HTTP: the next request on the connection is served',
    methods: ['GET', 'GET'],
    steps: ({ path }) => [handshake(`${path}/1`), { answers: 1 }, get(`${path}/2`)],
    upstream: {
      onRequest: (request, connection) => {
        if (request.target.endsWith('/1'))
          connection.send('HTTP/1.1 403 No\r\nX-Origin: 1\r\nContent-Length: 2\r\n\r\nno')
        else connection.echo(request)
      },
    },
    accept: [
      that('both answered', (run) => {
        const statuses = run.client.answers.map((answer) => answer.status).join()
        return statuses === '403,200' || (statuses === '403' && run.client.closed) ? null : statuses
      }),
    ],
  },
  {
    id: 'ws-ignored',
    rule: 'RFC 9110 7.8',
    title: 'an upstream that answers 200 to a handshake is not tunnelled',
    methods: ['GET', 'GET'],
    steps: ({ path }) => [handshake(`${path}/1`), { answers: 1 }, get(`${path}/2`)],
    accept: [
      that('both answered', (run) => {
        const statuses = run.client.answers.map((answer) => answer.status).join()
        return statuses === '200,200' || (statuses === '200' && run.client.closed) ? null : statuses
      }),
    ],
  },
  {
    id: 'ws-426',
    rule: 'RFC 9110 15.5.22',
    title: 'a 426 with its Upgrade field is passed on',
    steps: ({ path }) => handshake(path),
    upstream: {
      onRequest: (_request, connection) =>
        connection.send(
          'HTTP/1.1 426 No\r\nX-Origin: 1\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n',
        ),
    },
    accept: [
      answered([426], (answer) =>
        fieldValue(answer, 'sec-websocket-version') === '13' ? null : 'the version was lost',
      ),
    ],
  },
  {
    id: 'ws-client-fin',
    rule: 'RFC 9112 9.6',
    title: 'the end of the client reaches the upstream, and what it still sends arrives',
    steps: ({ path }) => [
      handshake(path),
      { answers: 1 },
      'bye',
      { wait: 50 },
      { end: true },
      { closed: 1500 },
    ],
    upstream: {
      ...echoTunnel,
      keepOpenOnEnd: true,
      onConnect: (connection) => connection.socket.on('end', () => connection.send('last').end()),
    },
    accept: [
      that('ended', (run) =>
        run.requests[0]?.connection.closed ? null : 'the upstream connection is still open',
      ),
    ],
    after: 100,
  },
  {
    id: 'ws-client-reset',
    rule: 'tunnel',
    title: 'a client that resets ends the upstream connection',
    steps: ({ path }) => [handshake(path), { answers: 1 }, 'x', { wait: 30 }, { reset: true }],
    upstream: echoTunnel,
    accept: [
      that('ended', (run) =>
        run.requests[0]?.connection.closed ? null : 'the upstream connection is still open',
      ),
    ],
    after: 300,
  },
  {
    id: 'ws-upstream-end',
    rule: 'tunnel',
    title: 'an upstream that ends closes the client, with every byte before it',
    steps: ({ path }) => [handshake(path), { answers: 1 }, { closed: 1500 }],
    upstream: {
      onRequest: (_request, connection) =>
        connection
          .openTunnel()
          .send(`${accepted}${'b'.repeat(100_000)}`)
          .end(),
    },
    accept: [
      answered([101], (_answer, run) =>
        run.client.tunnel.length !== 100_000
          ? `${run.client.tunnel.length} bytes`
          : run.client.closed
            ? null
            : 'still open',
      ),
    ],
  },
  {
    id: 'ws-upstream-reset',
    rule: 'tunnel',
    title: 'an upstream that resets closes the client',
    steps: ({ path }) => [handshake(path), { answers: 1 }, { closed: 1500 }],
    upstream: {
      onRequest: (_request, connection) => {
        connection.openTunnel().send(accepted)
        setTimeout(() => connection.reset(), 60)
      },
    },
    accept: [that('closed', (run) => (run.client.closed ? null : 'still open'))],
  },
  {
    id: 'ws-large',
    rule: 'tunnel',
    title: '1 MiB passes through both ways',
    steps: ({ path }) => [handshake(path), { answers: 1 }, Buffer.alloc(1 << 20, 'w'), { wait: 600 }],
    upstream: echoTunnel,
    accept: [
      answered([101], (_answer, run) =>
        run.client.tunnel.length === 1 << 20 ? null : `${run.client.tunnel.length} bytes came back`,
      ),
    ],
  },
  {
    id: 'ws-pipelined',
    rule: 'RFC 9112 9.3.2',
    title: 'a handshake behind another request waits for its turn',
    methods: ['GET', 'GET'],
    steps: ({ path }) => [
      get(`${path}/1`) + handshake(`${path}/2`),
      { answers: 2 },
      'ping',
      { see: 'ping', within: 500 },
    ],
    upstream: {
      onRequest: (request, connection) => {
        if (request.target.endsWith('/1')) setTimeout(() => connection.echo(request), 60)
        else connection.openTunnel().send(accepted)
      },
      onTunnel: (chunk, connection) => connection.send(chunk),
    },
    accept: [
      that('200, then the tunnel', (run) => {
        const got = run.client.answers.map((answer) => answer.status).join()
        return got === '200,101' && run.client.tunnel.toString('latin1') === 'ping' ? null : got
      }),
    ],
  },
  {
    id: 'ws-idle',
    rule: 'timeouts',
    title: 'a tunnel in which nothing moves is closed, both sides',
    steps: ({ path }) => [handshake(path), { answers: 1 }, { closed: 7000 }],
    upstream: echoTunnel,
    accept: [
      that('closed', (run) => {
        if (!run.client.closed) return 'the client is still connected'
        return run.requests[0]?.connection.closed ? null : 'the upstream connection is still open'
      }),
    ],
    after: 100,
  },
  {
    id: 'ws-slow',
    rule: 'timeouts',
    title: 'a tunnel in which only one side talks stays open',
    steps: ({ path }) => [
      handshake(path),
      { answers: 1 },
      ...Array.from({ length: 5 }, () => [{ wait: 1000 }, 'x']).flat(),
      { wait: 50 },
    ],
    upstream: { onRequest: (_request, connection) => connection.openTunnel().send(accepted) },
    accept: [
      that('open', (run) => {
        if (run.client.closed) return 'it was closed'
        return run.requests[0]?.connection.tunnel?.length === 5 ? null : 'bytes are missing'
      }),
    ],
  },
  {
    id: 'ws-http-in-tunnel',
    rule: 'tunnel',
    title: 'a request inside the tunnel is only bytes',
    steps: ({ path, hidden }) => [handshake(path), { answers: 1 }, hidden, { wait: 100 }],
    upstream: { onRequest: (_request, connection) => connection.openTunnel().send(accepted) },
    accept: [
      answered([101], (_answer, run) =>
        run.requests[0]?.connection.tunnel?.includes('/hidden') ? null : 'the bytes did not arrive',
      ),
    ],
  },
]
function originAnswer400(): string {
  return 'HTTP/1.1 400 Early\r\nX-Origin: 1\r\nContent-Length: 0\r\n\r\n'
}

const malformed: WireCase[] = [
  ['h2c', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__']],
  ['h2c-plain', ['Connection: Upgrade', 'Upgrade: h2c']],
  ['h2c-case', ['Connection: upgrade', 'Upgrade: H2C']],
  ['h2c-beside', ['Connection: Upgrade', 'Upgrade: websocket, h2c']],
  ['h2c-first', ['Connection: Upgrade', 'Upgrade: h2c, websocket']],
  ['h2c-lines', ['Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: h2c']],
  ['tls', ['Connection: Upgrade', 'Upgrade: TLS/1.0']],
  ['unknown', ['Connection: Upgrade', 'Upgrade: foo']],
  ['no-connection', ['Upgrade: websocket']],
  ['connection-close', ['Connection: close', 'Upgrade: websocket']],
  ['no-upgrade', ['Connection: Upgrade']],
  ['empty', ['Connection: Upgrade', 'Upgrade:']],
  ['suffix', ['Connection: Upgrade', 'Upgrade: websocketx']],
  ['connection-suffix', ['Connection: Upgraded', 'Upgrade: websocket']],
].map(([id, fields]) => ({
  id: `upgrade-${id}`,
  rule: 'RFC 9110 7.8',
  title: `${JSON.stringify(fields)} is not passed on`,
  steps: ({ path }) => get(path, ...(fields as string[])),
  accept: [notOffered],
}))

const wrongRequests: WireCase[] = [
  {
    id: 'upgrade-http10',
    rule: 'RFC 9110 7.8',
    title: 'an upgrade in HTTP/1.0 is ignored or refused',
    steps: ({ path }) => handshake(path).replace('HTTP/1.1', 'HTTP/1.0'),
    accept: [notOffered],
  },
  {
    id: 'upgrade-post',
    rule: 'RFC 6455 4.1',
    title: 'an upgrade with POST and a body is ignored or refused, and the body stays a body',
    methods: ['POST'],
    steps: ({ path, hidden }) =>
      handshake(path, `Content-Length: ${hidden.length}`).replace('GET', 'POST') + hidden,
    accept: [notOffered],
  },
  {
    id: 'upgrade-get-body',
    rule: 'RFC 6455 4.1',
    title: 'an upgrade with a body is ignored or refused, and the body stays a body',
    steps: ({ path, hidden }) => handshake(path, `Content-Length: ${hidden.length}`) + hidden,
    accept: [notOffered],
  },
  {
    id: 'upgrade-get-chunked',
    rule: 'RFC 6455 4.1',
    title: 'the same with a chunked body',
    steps: ({ path }) => `${handshake(path, 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\n\r\n`,
    accept: [notOffered],
  },
  {
    id: 'upgrade-head',
    rule: 'RFC 6455 4.1',
    title: 'an upgrade with HEAD is ignored or refused',
    methods: ['HEAD'],
    steps: ({ path }) => handshake(path).replace('GET', 'HEAD'),
    accept: [notOffered],
  },
  {
    id: 'upgrade-guarded',
    rule: 'policies',
    title: 'policies run on the handshake',
    steps: () => handshake('/guarded'),
    accept: [refused({ codes: [401, 403], open: true })],
  },
]

/** The upstream switches though it must not, or not to what was asked. */
const wrongAnswers: WireCase[] = [
  ...(
    [
      ['unasked', false, accepted],
      ['unasked-bare', false, 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
      ['h2c', true, switching('Connection: Upgrade', 'Upgrade: h2c')],
      ['no-upgrade', true, switching('Connection: Upgrade')],
      ['no-connection', true, switching('Upgrade: websocket')],
      ['bare', true, 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
      ['close', true, switching('Connection: close', 'Upgrade: websocket')],
      ['two-protocols', true, switching('Connection: Upgrade', 'Upgrade: websocket, h2c')],
      ['http10', true, accepted.replace('HTTP/1.1', 'HTTP/1.0')],
    ] as [string, boolean, string][]
  ).map(
    ([id, asked, bytes]): WireCase => ({
      id: `switch-${id}`,
      rule: 'RFC 9110 15.2.2',
      title: `${asked ? 'a wrong' : 'an unasked'} 101 (${id}) is 502, and no tunnel`,
      steps: ({ path, hidden }) => [asked ? handshake(path) : get(path), { wait: 120 }, hidden, { wait: 80 }],
      methods: ['GET'],
      upstream: switchWith(`${bytes}poison`),
      accept: [
        both(
          badGateway,
          that('no tunnel', (run) =>
            run.connections.some((connection) => connection.tunnel?.includes('hidden'))
              ? 'bytes of the client went through'
              : null,
          ),
        ),
      ],
      // When the client's connection stays open, the second request is an ordinary one.
      maxAnswers: 2,
      except: ['smuggled'],
    }),
  ),
  {
    id: 'switch-post',
    rule: 'RFC 9110 15.2.2',
    title: 'an unasked 101 to a POST is 502',
    methods: ['POST'],
    steps: ({ path }) => `${head(`POST ${path} HTTP/1.1`, hostField, 'Content-Length: 5')}hello`,
    upstream: switchWith(`${accepted}poison`),
    accept: [badGateway],
  },
  {
    id: 'switch-length',
    rule: 'RFC 9110 15.2.2',
    title: 'a 101 with Content-Length is a switch without it, or 502',
    steps: ({ path }) => [handshake(path), { answers: 1 }, { wait: 50 }],
    upstream: switchWith(
      `${switching('Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'Content-Length: 5')}hello`,
    ),
    accept: [
      badGateway,
      answered([101], (answer) =>
        fieldValue(answer, 'content-length') === undefined ? null : 'Content-Length was passed on',
      ),
    ],
  },
]

const notEnabled: WireCase[] = [
  {
    id: 'ws-not-enabled',
    rule: 'configuration',
    title: 'a route without enable_websocket passes no upgrade on',
    steps: ({ path }) => handshake(`/no-websocket${path}`),
    accept: [notOffered],
  },
  {
    id: 'ws-not-enabled-plain',
    rule: 'configuration',
    title: 'ordinary requests of that route are served',
    steps: ({ path }) => get(`/no-websocket${path}`),
    accept: [forwarded()],
  },
]

wireSuite('upgrades', [
  ...tunnels,
  ...malformed,
  ...wrongRequests,
  ...wrongAnswers,
  ...(process.env.SLUICE_WIRE_PROXY === undefined ? notEnabled : []),
])
wireSuiteOverTls('upgrades', [...tunnels, ...wrongAnswers])
