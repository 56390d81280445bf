/** Messages that are nearly right: a grammar whose every rule has wrong alternatives, and mutations of what it made. */
import { corpus } from './corpus.ts'
import type { Random } from './random.ts'
import type { Kind } from './reading.ts'

/** A good request or response behind the one under test shows where a parser thinks that it ends. */
const sentinel = {
  request: 'GET /sentinel HTTP/1.1\r\nHost: s\r\n\r\n',
  response: 'HTTP/1.1 200 Sentinel\r\nContent-Length: 1\r\n\r\ns',
}

/** Bytes that decide something somewhere in a message. */
const telling = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  '\x0b',
  '\x0c',
  ':',
  ';',
  ',',
  '"',
  '\\',
  '=',
  '0',
  '1',
  'a',
  'F',
  'g',
  '-',
  '+',
  '_',
  '%',
  '#',
  '?',
  '/',
  '.',
  '@',
  '*',
  '\x01',
  '\x1b',
  '\x7f',
  '\x80',
  '\x85',
  '\xa0',
  '\xff',
  '\r\n\r\n',
  '\n\n',
  '\r\r\n',
  ' \r\n',
  '\r\n ',
  '\r\n\t',
] as const

export function generate(random: Random, kind: Kind): Buffer {
  let text = random.once(4) ? random.pick(corpus[kind]) : message(random, kind)
  if (random.once(4)) text = mutate(random, text, kind)
  if (!random.once(4)) text += sentinel[kind]
  return Buffer.from(text, 'latin1')
}

/** Where to cut a stream into reads: every byte for itself, or anywhere. */
export function cuts(random: Random, length: number): number[] {
  if (length < 2) return []
  if (length < 400 && random.once(3)) return Array.from({ length: length - 1 }, (_, index) => index + 1)
  const offsets = Array.from({ length: 1 + random.below(6) }, () => 1 + random.below(length - 1))
  return offsets.sort((a, b) => a - b)
}

function message(random: Random, kind: Kind): string {
  const start = kind === 'request' ? requestLine(random) : statusLine(random)
  const fields: string[] = []
  if (kind === 'request' && !random.once(20)) fields.push(hostField(random))
  for (let count = random.below(5); count > 0; count--) fields.push(fieldLine(random, kind))
  const framing = random.below(5)
  let body = ''
  if (framing < 2) {
    body = random.pick(['', 'hello', 'GET / HTTP/1.1\r\nHost: h\r\n\r\n', 'x'.repeat(random.below(300))])
    fields.push(lengthField(random, body.length))
  } else if (framing < 4) {
    body = chunkedBody(random)
    fields.push(codingField(random))
  }
  if (random.once(20)) fields.push(random.once(2) ? lengthField(random, 5) : codingField(random))
  shuffle(random, fields)
  return `${random.once(15) ? '\r\n' : ''}${start}${end(random)}${fields.map((line) => line + end(random)).join('')}${end(random)}${body}`
}

const end = (random: Random): string =>
  random.once(60) ? random.pick(['\n', '\r', '\r\r\n', '\n\r', ' \r\n', '']) : '\r\n'

function requestLine(random: Random): string {
  const method = random.once(10)
    ? random.pick(['get', 'FOO', 'G ET', 'CONNECT', 'TRACE', 'PRI', '', 'GET\0', 'SOURCE', 'DESCRIBE'])
    : random.pick(['GET', 'GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'DELETE', 'PATCH', 'QUERY', 'M-SEARCH'])
  const target = random.once(6)
    ? random.pick([
        '*',
        'http://h',
        'h:80',
        '/a b',
        '/\x80',
        '/a#b',
        '?a',
        'http://u@h/',
        '/\x7f',
        'x://h/',
        'http:/h',
        '/a\0',
        '',
        '/%00',
        '/a\\b',
      ])
    : random.pick([
        '/',
        '/a',
        '/a/b?c=d',
        '//a',
        '/%2e',
        'http://h/a',
        'HTTP://H/a?b',
        '/a/../b',
        '/?',
        '/"<>{}|^`',
      ])
  const version = random.once(10)
    ? random.pick([
        'HTTP/1.2',
        'HTTP/2.0',
        'HTTP/0.9',
        'http/1.1',
        'HTTP/1.',
        'HTTP/11',
        'HTTP/1.1 ',
        'HTTP/01.1',
        '',
        'RTSP/1.0',
        'ICE/1.0',
      ])
    : random.pick(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0'])
  const space = () => (random.once(60) ? random.pick(['  ', '\t', '', '\x0b']) : ' ')
  return `${method}${space()}${target}${space()}${version}`
}

function statusLine(random: Random): string {
  const version = random.once(10)
    ? random.pick(['HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'HTTP/1', 'ICY', 'RTSP/1.0'])
    : random.pick(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0'])
  const status = random.once(8)
    ? random.pick(['20', '2000', '099', '600', '999', '2x0', '-20', '', '000'])
    : random.pick(['200', '200', '200', '404', '204', '304', '100', '103', '101', '205', '599'])
  const reason = random.once(4)
    ? random.pick([
        '',
        ' nul\0',
        ' cr\rx',
        ' \x01',
        '\tOK',
        '  two',
        ' tab\there',
        ' \xe9',
        ' trailing ',
        ' trailing\t',
      ])
    : random.pick([' OK', ' ', ' Two words'])
  return `${version} ${status}${reason}`
}

function hostField(random: Random): string {
  return `Host: ${random.once(8) ? random.pick(['', 'h h', 'h:80', 'h:x', 'u@h', '[::1]', '[::1', 'h,h', 'h/', '\xff', 'H', 'h.']) : 'h'}`
}

const names = [
  'X-A',
  'x-a',
  'Accept',
  'Connection',
  'Connection',
  'Upgrade',
  'Expect',
  'TE',
  'Trailer',
  'Keep-Alive',
  'Proxy-Connection',
  'Host',
  'X_A',
  '__proto__',
  'Content-Lengt',
  'Content-Length2',
  'Transfer-Encoding2',
  'X A',
  'X-A ',
  ' X-A',
  '',
  'X\0',
  'X\x80',
  'X(',
  'content-length ',
  'Cookie',
] as const
const values = [
  'a',
  'a',
  '',
  ' a ',
  '\ta\t',
  'a b',
  'a\r\n b',
  'a\rb',
  'a\nb',
  'a\0b',
  'a\x01b',
  'a\x7fb',
  '\xe9\xff',
  'close',
  'keep-alive',
  'upgrade',
  'websocket',
  'h2c',
  'close, x',
  'keep-alive, close',
  '100-continue',
  'trailers',
  'x'.repeat(100),
  ': a',
  'a:b',
  ',',
  'Close',
  'closed',
  'keep-alive2',
  'upgrade, x',
  'close;x',
  '"close"',
] as const

function fieldLine(random: Random, kind: Kind): string {
  const name = random.once(6)
    ? random.pick(names)
    : random.pick(['X-A', 'X-B', 'Accept', 'Connection', 'Server'])
  if (name === 'Upgrade' && kind === 'response') return 'X-Upgrade: a'
  const value = random.once(4) ? random.pick(values) : random.pick(['a', 'b c', '1', '', 'keep-alive'])
  return `${name}${random.once(60) ? random.pick([' :', '\t:', '=', '', '::']) : ':'}${random.pick([' ', ' ', ' ', '', '\t', '  '])}${value}`
}

function lengthField(random: Random, length: number): string {
  const right = String(length)
  const value = random.once(6)
    ? random.pick([
        `+${right}`,
        `-${right}`,
        `0${right}`,
        `${right} `,
        `${right},${right}`,
        `${right}, ${length + 1}`,
        `0x${right}`,
        '',
        `${right}\x0b`,
        `${right}\0`,
        `"${right}"`,
        `${right}.0`,
        `${length + 1}`,
        '18446744073709551616',
        '9'.repeat(30),
        '9007199254740993',
        `${right} ${right}`,
        `${right}\xa0`,
        `\r\n ${right}`,
      ])
    : right
  return `${random.pick(['Content-Length', 'content-length', 'CONTENT-LENGTH'])}${random.once(40) ? ' :' : ':'} ${value}`
}

function codingField(random: Random): string {
  const value = random.once(5)
    ? random.pick([
        'Chunked',
        'CHUNKED',
        'gzip, chunked',
        'chunked, gzip',
        'chunked, chunked',
        'chunked,',
        ',chunked',
        'identity',
        'xchunked',
        'chunked;a=b',
        '"chunked"',
        'chunked\x0b',
        '\x0bchunked',
        'chun\0ked',
        'chunked\xa0',
        'gzip',
        '',
        ' chunked ',
        'chunked\t',
        '\r\n chunked',
        'chunke',
        'chunkedd',
        'chunked,identity',
        'trailers, chunked',
      ])
    : 'chunked'
  return `${random.pick(['Transfer-Encoding', 'transfer-encoding', 'TRANSFER-ENCODING'])}${random.once(40) ? '\t:' : ':'} ${value}`
}

function chunkedBody(random: Random): string {
  let body = ''
  for (let count = random.below(4); count > 0; count--) {
    const data = random.pick(['a', 'hello', '0\r\n\r\n', 'x'.repeat(random.below(40) + 1)])
    body += chunkSize(random, data.length) + extension(random) + end(random) + data + end(random)
  }
  body += random.once(12) ? random.pick(['', '0', '00', '000000', '0x0', '-0', '0 ', ' 0']) : '0'
  body += extension(random) + end(random)
  for (let count = random.once(3) ? random.below(3) : 0; count > 0; count--)
    body += fieldLine(random, 'request') + end(random)
  return body + end(random)
}

function chunkSize(random: Random, length: number): string {
  const hex = length.toString(16)
  return random.once(8)
    ? random.pick([
        `0x${hex}`,
        `+${hex}`,
        `-${hex}`,
        ` ${hex}`,
        `${hex} `,
        `${hex}\t`,
        `0${hex}`,
        `000000000000000${hex}`,
        `${'0'.repeat(30)}${hex}`,
        `${hex}g`,
        `${hex}_`,
        '',
        `1000000000000000${hex}`,
        'ffffffffffffffff',
        'fffffffffffffff',
        '20000000000001',
        `${hex}\x0b`,
        `${hex}\0`,
        hex.toUpperCase(),
        `${hex}\xa0`,
        `${hex}.`,
        `${hex},`,
      ])
    : hex
}

function extension(random: Random): string {
  return random.once(6)
    ? random.pick([
        ';a',
        ';a=b',
        ';a="b"',
        ';a="b;c"',
        ';a="\\""',
        ';',
        ';;',
        ';a=',
        ';=b',
        '; a',
        ';a =b',
        ' ;a',
        ';a="b',
        ';a="b"c',
        ';a=b;c=d',
        ';a\0',
        ';a=\rb',
        ';a\n',
        ';a="\r\n"',
        ';\x80',
        ';a="\x80"',
        `;${'e'.repeat(200)}`,
        ';a="b";c',
        ';a="b" ',
        ';a\t=b',
      ])
    : ''
}

function shuffle(random: Random, list: string[]): void {
  for (let index = list.length - 1; index > 0; index--) {
    const other = random.below(index + 1)
    const moved = list[index]!
    list[index] = list[other]!
    list[other] = moved
  }
}

function mutate(random: Random, text: string, kind: Kind): string {
  let out = text
  for (let count = 1 + random.below(3); count > 0; count--) {
    const at = random.below(out.length + 1)
    const to = Math.min(out.length, at + 1 + random.below(random.once(4) ? 30 : 3))
    switch (random.below(6)) {
      case 0:
        out = out.slice(0, at) + random.pick(telling) + out.slice(at)
        break
      case 1:
        out = out.slice(0, at) + random.pick(telling) + out.slice(at + 1)
        break
      case 2:
        out = out.slice(0, at) + out.slice(to)
        break
      case 3:
        out = out.slice(0, to) + out.slice(at)
        break
      case 4:
        out = out.slice(0, at) + String.fromCharCode(random.below(256)) + out.slice(at + 1)
        break
      default: {
        const other = random.pick(corpus[kind])
        out = out.slice(0, at) + other.slice(random.below(other.length))
      }
    }
  }
  return out
}
