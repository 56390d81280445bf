/** Limits that an operator sets, each with its own status. */
import { fieldValue } from '../harness/message-reader.ts'
import { originAnswer } from '../harness/scripted-upstream.ts'
import { answered, badGateway, forwarded, refused, that, truncated } from './outcomes.ts'
import { chunked, get, head, hostField, type WireCase } from './wire-case.ts'
import { wireSuite } from './wire-suite.ts'

const limits = '{ head: 4KiB, headers: 20, target: 1KiB, body: 10KiB, requests_per_connection: 3 }'
const fields = (count: number): string[] => Array.from({ length: count }, (_, index) => `X-${index}: v`)

const cases: WireCase[] = [
  {
    id: 'target-fits',
    rule: 'RFC 9110 15.5.15',
    title: 'a target below the limit passes',
    steps: ({ path }) => get(`${path}/${'t'.repeat(900)}`),
    accept: [forwarded()],
  },
  {
    id: 'target-long',
    rule: 'RFC 9110 15.5.15',
    title: 'a target above the limit is 414',
    steps: ({ path }) => get(`${path}/${'t'.repeat(1100)}`),
    accept: [refused({ codes: [414], spoken: true })],
  },
  {
    id: 'target-endless',
    rule: 'RFC 9110 15.5.15',
    title: 'a request line that does not end is 414 as soon as it is too long',
    steps: ({ path }) => `GET ${path}/${'t'.repeat(9000)}`,
    accept: [refused({ codes: [414, 431], spoken: true })],
  },
  {
    id: 'head-large',
    rule: 'RFC 6585 5',
    title: 'a head above the limit is 431',
    steps: ({ path }) => get(path, `X-A: ${'v'.repeat(5000)}`),
    accept: [refused({ codes: [431], spoken: true })],
  },
  {
    id: 'head-unfinished',
    rule: 'RFC 6585 5',
    title: 'a head that does not end is 431 as soon as it is too large',
    steps: ({ path }) => `GET ${path} HTTP/1.1\r\n${hostField}\r\nX-A: ${'v'.repeat(9000)}`,
    accept: [refused({ codes: [431], spoken: true })],
  },
  {
    id: 'fields-fit',
    rule: 'RFC 6585 5',
    title: 'twenty fields pass',
    steps: ({ path }) => get(path, ...fields(19)),
    accept: [
      forwarded({
        check: (r) =>
          r.fields.filter((field) => /^x-\d/.test(field.lower)).length === 19 ? null : 'some are lost',
      }),
    ],
  },
  {
    id: 'fields-many',
    rule: 'RFC 6585 5',
    title: 'twenty-one fields are 431',
    steps: ({ path }) => get(path, ...fields(20)),
    accept: [refused({ codes: [431], spoken: true })],
  },
  {
    id: 'body-fits',
    rule: 'RFC 9110 15.5.14',
    title: 'a body of just the limit passes',
    methods: ['POST'],
    steps: ({ path }) =>
      head(`POST ${path} HTTP/1.1`, hostField, 'Content-Length: 10240') + 'b'.repeat(10240),
    accept: [forwarded()],
  },
  {
    id: 'body-long',
    rule: 'RFC 9110 15.5.14',
    title: 'an announced body above the limit is 413 before it is sent',
    methods: ['POST'],
    steps: ({ path }) => [head(`POST ${path} HTTP/1.1`, hostField, 'Content-Length: 10241'), { answers: 1 }],
    accept: [refused({ codes: [413], spoken: true })],
  },
  {
    id: 'body-long-expect',
    rule: 'RFC 9110 10.1.1',
    title: 'no 100 is sent for it',
    methods: ['POST'],
    steps: ({ path }) => [
      head(`POST ${path} HTTP/1.1`, hostField, 'Content-Length: 10241', 'Expect: 100-continue'),
      { answers: 1 },
    ],
    accept: [
      that('413 alone', (run) =>
        run.client.interim.length === 0 && run.client.answers[0]?.status === 413
          ? null
          : `${run.client.interim.length} interim, ${run.client.answers[0]?.status}`,
      ),
    ],
  },
  {
    id: 'body-chunked-long',
    rule: 'RFC 9110 15.5.14',
    title: 'a chunked body that grows above the limit is 413, and the upstream sees an abort',
    methods: ['POST'],
    steps: ({ path }) =>
      head(`POST ${path} HTTP/1.1`, hostField, 'Transfer-Encoding: chunked') +
      chunked('b'.repeat(6000), 'b'.repeat(6000)),
    accept: [refused({ codes: [413] })],
  },
  {
    id: 'body-one-chunk-long',
    rule: 'RFC 9110 15.5.14',
    title: 'a chunk that is still on its way is 413 once it is above the limit',
    methods: ['POST'],
    steps: ({ path }) =>
      `${head(`POST ${path} HTTP/1.1`, hostField, 'Transfer-Encoding: chunked')}ffffff\r\n${'b'.repeat(11_000)}`,
    accept: [refused({ codes: [413] })],
  },
  {
    id: 'requests-per-connection',
    onlyHttp1: true,
    rule: 'limits',
    title: 'the third answer announces the close, the fourth request is not read',
    methods: ['GET', 'GET', 'GET'],
    steps: ({ path, hidden }) => get(`${path}/1`) + get(`${path}/2`) + get(`${path}/3`) + hidden,
    accept: [
      forwarded({
        count: 3,
        close: true,
        check: (_r, _a, run) =>
          /close/i.test(fieldValue(run.client.answers[2]!, 'connection') ?? '')
            ? null
            : 'close is not announced',
      }),
    ],
  },
  {
    id: 'answer-head-large',
    rule: 'limits',
    title: 'an answer whose head is above the limit is 502',
    steps: ({ path }) => get(path),
    upstream: {
      onRequest: (_request, connection) =>
        connection.send(originAnswer(200, 'ok', `X-A: ${'v'.repeat(9000)}`)),
    },
    accept: [badGateway],
  },
  {
    id: 'answer-fields-many',
    rule: 'limits',
    title: 'an answer with too many fields is 502',
    steps: ({ path }) => get(path),
    upstream: {
      onRequest: (_request, connection) => connection.send(originAnswer(200, 'ok', ...fields(60))),
    },
    accept: [badGateway],
  },
  {
    id: 'answer-body-free',
    rule: 'limits',
    title: 'the limit of bodies is for requests only',
    steps: ({ path }) => get(path),
    upstream: { onRequest: (_request, connection) => connection.send(originAnswer(200, 'b'.repeat(50_000))) },
    accept: [answered([200], (answer) => (answer.bodyBytes === 50_000 ? null : `${answer.bodyBytes} bytes`))],
  },
  {
    id: 'trailers-large',
    rule: 'RFC 9110 6.5',
    title: 'trailers above the limit of a head are refused or broken off',
    methods: ['POST'],
    steps: ({ path }) =>
      `${head(`POST ${path} HTTP/1.1`, hostField, 'Transfer-Encoding: chunked')}5\r\nhello\r\n0\r\nX-A: ${'v'.repeat(9000)}\r\n\r\n`,
    accept: [refused(), truncated],
  },
]

// Another proxy has other limits.
if (process.env.SLUICE_WIRE_PROXY === undefined) wireSuite('limits', cases, { limits })
