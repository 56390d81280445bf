import assert from 'node:assert/strict'
import { test } from 'node:test'
import { statusLines } from './own-answer.ts'
import { grpcStatusOf, isGrpcType, percentEncoded } from './status.ts'
import { callTimeout } from './timeout.ts'

const timeoutOf = (text: string | undefined) =>
  callTimeout({ request: { headers: { get: () => text } } } as never)

test('the time that a caller waits is read by the letter of gRPC', () => {
  assert.equal(timeoutOf('5S'), 5000)
  assert.equal(timeoutOf('2M'), 120_000)
  assert.equal(timeoutOf('1H'), 3_600_000)
  assert.equal(timeoutOf('99999999n'), 99.999999)
  assert.equal(timeoutOf('250m'), 250)
  assert.equal(timeoutOf('500u'), 0.5)
  for (const wrong of [undefined, '', '5', 'S', '5s', '-5S', '123456789S', '5S ', '1.5S'])
    assert.equal(timeoutOf(wrong), Number.POSITIVE_INFINITY, String(wrong))
})

test('statuses of HTTP become those that clients of gRPC would make of them, or nearer ones', () => {
  const seen = [400, 401, 403, 404, 413, 429, 500, 502, 503, 504].map(grpcStatusOf)
  assert.deepEqual(seen, [13, 16, 7, 12, 8, 8, 2, 14, 14, 4])
})

test('messages hold visible ASCII only', () => {
  const bytes = Buffer.from('50% \n ä €').toString('latin1')
  assert.equal(percentEncoded(bytes), '50%25 %0A %C3%A4 %E2%82%AC')
})

test('the message is what the body says', () => {
  const lines = (contentType: string, body: string) => statusLines(401, { contentType, body })
  assert.equal(
    lines('application/json', '{"message":"Missing API key"}\n'),
    'grpc-status: 16\r\ngrpc-message: Missing API key\r\n',
  )
  assert.match(lines('text/plain; charset=utf-8', '{"error_msg":"no"}\n'), /grpc-message: no\r\n/)
  assert.match(lines('text/plain; charset=utf-8', 'no\r\nx: y\n'), /grpc-message: no%0D%0Ax: y\r\n$/)
  assert.match(lines('text/html', '<html>'), /grpc-message: 401 Unauthorized\r\n/)
  assert.match(lines('application/json', '{'), /grpc-message: 401 Unauthorized\r\n/)
  assert.ok(lines('text/plain', 'x'.repeat(5000)).length < 1100)
})

test('gRPC-Web and look-alikes are no calls', () => {
  for (const type of ['application/grpc', 'application/grpc+proto', 'Application/GRPC; a=b'])
    assert.ok(isGrpcType(type), type)
  for (const type of [undefined, '', 'application/grpc-web', 'application/grpcx', 'text/application/grpc'])
    assert.ok(!isGrpcType(type), String(type))
})
