/** Messages worth keeping: the known attacks of the field, and whatever a run once found. */
import type { Kind } from './reading.ts'

const post = (fields: string, body: string): string =>
  `POST /p HTTP/1.1\r\nHost: h\r\n${fields}\r\n\r\n${body}`
const chunked = (body: string): string => post('Transfer-Encoding: chunked', body)
const hidden = 'GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n'
const answer = (fields: string, body: string): string => `HTTP/1.1 200 OK\r\n${fields}\r\n\r\n${body}`

export const corpus: Record<Kind, string[]> = {
  request: [
    hidden,
    'GET /p HTTP/1.0\r\n\r\n',
    'GET http://other/p HTTP/1.1\r\nHost: h\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n',
    'GET /p HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n',
    'GET /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
    'GET /p HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    post('Content-Length: 5', 'hello'),
    // CL.TE, TE.CL, CL.0 and two lengths.
    post('Content-Length: 40\r\nTransfer-Encoding: chunked', `0\r\n\r\n${hidden}`),
    post('Transfer-Encoding: chunked\r\nContent-Length: 4', `25\r\n${hidden}\r\n0\r\n\r\n`),
    post('Content-Length: 5\r\nContent-Length: 6', 'hello'),
    post('Content-Length: 5, 5', 'hello'),
    // CVE-2023-40225: an empty length beside a good one.
    post('Content-Length:\r\nContent-Length: 5', 'hello'),
    // Disguised codings.
    post('Transfer-Encoding : chunked\r\nContent-Length: 5', '0\r\n\r\n'),
    post('Transfer-Encoding: xchunked\r\nContent-Length: 5', '0\r\n\r\n'),
    post('Transfer-Encoding:\x0bchunked\r\nContent-Length: 5', '0\r\n\r\n'),
    post('Transfer-Encoding: chun\xe2\x84\xaaed\r\nContent-Length: 5', '0\r\n\r\n'),
    post('X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 5', '0\r\n\r\n'),
    post('X-A: b\nTransfer-Encoding: chunked\r\nContent-Length: 5', '0\r\n\r\n'),
    post(' Transfer-Encoding: chunked\r\nContent-Length: 5', '0\r\n\r\n'),
    'POST /p HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    // Chunked framing; TERM.EXT and EXT.TERM.
    chunked('5\r\nhello\r\n0\r\n\r\n'),
    chunked('5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n'),
    chunked('5;a="b;c"\r\nhello\r\n0;d\r\n\r\n'),
    chunked(`2;\nxx\r\n24\r\n0\r\n\r\n${hidden}\r\n0\r\n\r\n`),
    chunked('5\nhello\r\n0\r\n\r\n'),
    chunked('5\r\nhello\n0\r\n\r\n'),
    chunked(`0\r\n${hidden}`),
    chunked('10000000000000005\r\nhello\r\n0\r\n\r\n'),
    chunked('0x5\r\nhello\r\n0\r\n\r\n'),
    chunked('5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n'),
  ],
  response: [
    answer('Content-Length: 5', 'hello'),
    answer('Transfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'),
    answer('Transfer-Encoding: chunked', '5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n'),
    answer('X-A: 1', 'until the end'),
    answer('Content-Length: 5\r\nContent-Length: 6', 'hello'),
    answer('Content-Length: 5\r\nTransfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'),
    answer('Transfer-Encoding: gzip', 'hello'),
    answer('Transfer-Encoding: chunked, gzip', 'hello'),
    answer('Content-Length: -5', 'hello'),
    answer('X-A: a\r\n b\r\nContent-Length: 0', ''),
    answer('X-A : a\r\nContent-Length: 0', ''),
    answer('Connection: close\r\nContent-Length: 5', 'hello'),
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n',
    'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    'HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 \0\r\nContent-Length: 0\r\n\r\n',
    'ICY 200 OK\r\nContent-Length: 0\r\n\r\n',
  ],
}
