/** Sending again: RFC 9110 section 9.2.2. A request that is not idempotent reaches an upstream once, whatever happens. */
import type { Step } from '../harness/raw-client.ts'
import {
  originAnswer,
  type ReceivedRequest,
  type UpstreamConnection,
  type UpstreamScript,
} from '../harness/scripted-upstream.ts'
import { answered, badGateway, forwarded, that, truncated } from './outcomes.ts'
import { chunked, get, head, hostField, type Outcome, type Place, post, type WireCase } from './wire-case.ts'
import { wireSuite } from './wire-suite.ts'

type Fault = (request: ReceivedRequest, connection: UpstreamConnection) => void

const faults: Record<string, Fault> = {
  fin: (_request, connection) => connection.end(),
  reset: (_request, connection) => connection.reset(),
  'reset-later': (_request, connection) => setTimeout(() => connection.reset(), 60),
  'fin-later': (_request, connection) => setTimeout(() => connection.end(), 60),
  'half-line': (_request, connection) => connection.send('HTTP/1.1 2').end(),
  'half-line-reset': (_request, connection) => {
    connection.send('HTTP/1.1 200 OK\r\nX-')
    setTimeout(() => connection.reset(), 30)
  },
  'after-100': (_request, connection) => connection.send('HTTP/1.1 100 Continue\r\n\r\n').end(),
  'after-103': (_request, connection) => connection.send('HTTP/1.1 103 Early Hints\r\n\r\n').end(),
  'half-body': (_request, connection) =>
    connection.send('HTTP/1.1 200 OK\r\nX-Origin: 1\r\nContent-Length: 50\r\n\r\nhalf').end(),
  junk: (_request, connection) => connection.send('garbage\r\n\r\n').end(),
}
const nothingRead = new Set(['fin', 'reset', 'reset-later', 'fin-later'])

/** Warms a pooled connection, then fails the next request on it; a fresh connection answers. */
const failReused =
  (fault: Fault): (() => UpstreamScript) =>
  () => ({
    onRequest: (request, connection) => {
      if (request.target.endsWith('/warm') || request.occurrence > 1 || request.earlierOnConnection === 0)
        connection.echo(request)
      else fault(request, connection)
    },
  })

const failAlways = (fault: Fault): UpstreamScript => ({ onRequest: fault })

const warmedUp =
  (request: (place: Place) => Step[]) =>
  (place: Place): Step[] => [get(`${place.path}/warm`), { answers: 1 }, { wait: 20 }, ...request(place)]

const times = (run: Parameters<Outcome['judge']>[0], end: string): number =>
  run.requests.filter((request) => request.target.endsWith(end)).length

const onceAtMost: Outcome = that('sent once', (run) => {
  const [, answer] = run.client.answers
  const sent = times(run, '/work')
  if (sent > 1) return `sent ${sent} times`
  if (!answer) return run.client.closed ? null : 'no answer'
  return answer.status >= 500 || !answer.complete ? null : `status ${answer.status} after a failure`
})

const reusedFaults: WireCase[] = Object.entries(faults).flatMap(([name, fault]): WireCase[] => [
  {
    id: `reused-get-${name}`,
    rule: 'RFC 9110 9.2.2',
    title: nothingRead.has(name)
      ? `GET is sent once more after ${name} on a reused connection`
      : `GET is not sent again after ${name}`,
    methods: ['GET', 'GET'],
    steps: warmedUp(({ path }) => [get(`${path}/work`)]),
    upstream: failReused(fault),
    accept: nothingRead.has(name)
      ? [
          that('answered by a second try', (run) => {
            const [, answer] = run.client.answers
            if (answer?.status !== 200) return `status ${answer?.status ?? 'none'}`
            return times(run, '/work') === 2 ? null : `sent ${times(run, '/work')} times`
          }),
        ]
      : [onceAtMost],
  },
  ...(['POST', 'PATCH', 'LOCK', 'FOOBAR'] as const).map(
    (method): WireCase => ({
      id: `reused-${method.toLowerCase()}-${name}`,
      rule: 'RFC 9110 9.2.2',
      title: `${method} is never sent again after ${name} on a reused connection`,
      methods: ['GET', method],
      steps: warmedUp(({ path }) => [
        head(`${method} ${path}/work HTTP/1.1`, hostField, 'Content-Length: 5'),
        'hello',
      ]),
      upstream: failReused(fault),
      accept: [onceAtMost, that('refused', (run) => (times(run, '/work') === 0 ? null : 'sent'))],
    }),
  ),
  {
    id: `fresh-post-${name}`,
    rule: 'RFC 9110 9.2.2',
    title: `POST is never sent again after ${name} on a fresh connection`,
    methods: ['POST'],
    steps: ({ path }) => post(path, 'hello'),
    upstream: failAlways(fault),
    accept: [badGateway, truncated],
  },
  {
    id: `fresh-get-${name}`,
    rule: 'RFC 9110 9.2.2',
    title: `GET after ${name} every time ends with an error, not a loop`,
    steps: ({ path }) => get(path),
    upstream: failAlways(fault),
    accept: [that('few tries', (run) => (run.requests.length <= 2 ? null : `${run.requests.length} tries`))],
  },
])

const idleEnds: WireCase[] = (['GET', 'POST'] as const).flatMap((method) =>
  (['end', 'reset'] as const).map(
    (close): WireCase => ({
      id: `idle-${close}-${method.toLowerCase()}`,
      rule: 'RFC 9112 9.6',
      title: `${method} after the pooled connection had ended (${close}) works, once`,
      methods: ['GET', method],
      steps: ({ path }) => [
        get(`${path}/warm`),
        { answers: 1 },
        { wait: 120 },
        head(`${method} ${path}/work HTTP/1.1`, hostField, 'Content-Length: 5'),
        'hello',
      ],
      upstream: {
        onRequest: (request, connection) => {
          connection.echo(request)
          if (request.target.endsWith('/warm')) setTimeout(() => connection[close](), 30)
        },
      },
      accept: [
        that('answered', (run) => {
          const [, answer] = run.client.answers
          if (answer?.status !== 200) return `status ${answer?.status ?? 'none'}`
          return times(run, '/work') === 1 ? null : `sent ${times(run, '/work')} times`
        }),
      ],
    }),
  ),
)

const bodies: WireCase[] = [
  {
    id: 'retry-put-body',
    rule: 'RFC 9110 9.2.2',
    title: 'PUT on a reset reused connection: whole again or an error, never with another body',
    methods: ['GET', 'PUT'],
    steps: warmedUp(({ path }) => [
      head(`PUT ${path}/work HTTP/1.1`, hostField, 'Content-Length: 5'),
      'hello',
    ]),
    upstream: failReused(faults.reset!),
    accept: [
      that('whole', (run) => {
        const wrong = run.requests.filter(
          (request) =>
            request.method === 'PUT' && request.complete && request.body.toString('latin1') !== 'hello',
        )
        if (wrong.length > 0) return 'sent with another body'
        return times(run, '/work') <= 2 ? null : `sent ${times(run, '/work')} times`
      }),
    ],
  },
  {
    id: 'retry-get-body-unread',
    rule: 'RFC 9110 9.2.2',
    title: 'GET whose body is still on its way is never sent again in part',
    methods: ['GET', 'GET'],
    steps: warmedUp(({ path }) => [
      head(`GET ${path}/work HTTP/1.1`, hostField, 'Transfer-Encoding: chunked'),
      '5\r\nhello\r\n',
      { wait: 150 },
      '0\r\n\r\n',
    ]),
    upstream: () => ({
      onHead: (request, connection) => {
        if (request.target.endsWith('/work') && request.occurrence === 1)
          setTimeout(() => connection.reset(), 40)
      },
    }),
    accept: [
      that('whole or failed', (run) => {
        const wrong = run.requests.filter(
          (request) =>
            request.target.endsWith('/work') &&
            request.complete &&
            request.body.toString('latin1') !== 'hello',
        )
        return wrong.length > 0 ? 'sent without its body' : null
      }),
    ],
  },
  {
    id: 'retry-chunked-post',
    rule: 'RFC 9110 9.2.2',
    title: 'a chunked POST on a reset reused connection is not sent again',
    methods: ['GET', 'POST'],
    steps: warmedUp(({ path }) => [
      head(`POST ${path}/work HTTP/1.1`, hostField, 'Transfer-Encoding: chunked') + chunked('hello'),
    ]),
    upstream: failReused(faults.reset!),
    accept: [onceAtMost],
  },
  {
    id: 'retry-5xx',
    rule: 'RFC 9110 9.2.2',
    title: 'a 503 of the upstream is an answer, not a reason to try again',
    steps: ({ path }) => get(path),
    upstream: { onRequest: (_request, connection) => connection.send(originAnswer(503, 'busy')) },
    accept: [forwarded({ status: 503 })],
  },
  {
    id: 'retry-timeout',
    rule: 'RFC 9110 9.2.2',
    title: 'a POST that is not answered in time is not sent again',
    methods: ['POST'],
    steps: ({ path }) => post(path, 'hello'),
    upstream: { onRequest: () => {} },
    accept: [
      answered([504], (_answer, run) =>
        run.requests.length === 1 ? null : `sent ${run.requests.length} times`,
      ),
    ],
    within: 5000,
  },
]

/** `/failover` has a node where nothing listens; both orders of the two nodes are tried. */
const failover: WireCase[] = ['GET', 'POST', 'LOCK'].map(
  (method): WireCase => ({
    id: `refused-node-${method.toLowerCase()}`,
    rule: 'RFC 9110 9.2.2',
    title: `${method} goes to the next node when a connection is refused`,
    methods: Array(4).fill(method),
    steps: ({ path }) =>
      [1, 2, 3, 4].flatMap((number): Step[] => [
        head(`${method} /failover${path}/${number} HTTP/1.1`, hostField, 'Content-Length: 5'),
        'hello',
        { answers: number },
      ]),
    accept: [
      that('all answered', (run) => {
        const statuses = run.client.answers.map((answer) => answer.status)
        if (statuses.join() !== '200,200,200,200') return statuses.join()
        return run.requests.length === 4 ? null : `${run.requests.length} arrived`
      }),
    ],
  }),
)

const dead: WireCase[] = [
  {
    id: 'dead-get',
    rule: 'RFC 9110 15.6.3',
    title: 'no node answers: 502, and the connection goes on',
    methods: ['GET', 'GET'],
    steps: ({ path }) => get(`/dead${path}`) + get(path),
    accept: [that('502, 200', ({ client }) => statuses(client.answers, '502,200'))],
  },
  {
    id: 'dead-post',
    rule: 'request smuggling',
    title: 'the body of a request that could not be sent is swallowed',
    methods: ['POST', 'GET'],
    steps: ({ path, hidden }) => post(`/dead${path}`, hidden) + get(path),
    accept: [
      that('502, 200', ({ client }) => statuses(client.answers, '502,200')),
      that(
        '502 and closed',
        ({ client }) => statuses(client.answers, '502') ?? (client.closed ? null : 'open'),
      ),
    ],
  },
  {
    id: 'dead-post-later',
    rule: 'request smuggling',
    title: 'the same when the body comes after the 502',
    methods: ['POST'],
    steps: ({ path, hidden }) => [
      head(`POST /dead${path} HTTP/1.1`, hostField, `Content-Length: ${hidden.length}`),
      { wait: 150 },
      hidden,
      { wait: 100 },
    ],
    accept: [that('502', ({ client }) => statuses(client.answers, '502'))],
  },
]

function statuses(answers: { status: number }[], wanted: string): string | null {
  const got = answers.map((answer) => answer.status).join()
  return got === wanted ? null : got || 'no answer'
}

wireSuite('retries', [...reusedFaults, ...idleEnds, ...bodies])
// Another proxy has no such routes.
if (process.env.SLUICE_WIRE_PROXY === undefined) wireSuite('unreachable nodes', [...failover, ...dead])
