import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { Writers } from './writers.ts'

test('every request is sent once and answered before the report, and refusals are counted', async (t) => {
  const seen: string[] = []
  const server = createServer((request, response) => {
    seen.push(request.url!)
    response.statusCode = request.url === '/3' ? 400 : 200
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const requestOf = (number: number) => `PUT /${number} HTTP/1.1\r\nHost: here\r\n\r\n`
  const writers = await Writers.open(port, 4, requestOf)
  t.after(() => {
    writers.close()
    server.closeAllConnections()
    server.close()
  })

  assert.equal((await writers.write(20, 0)).refused, 1)
  assert.equal((await writers.write(10, 1_000)).refused, 0)
  assert.deepEqual(
    seen.toSorted((a, b) => Number(a.slice(1)) - Number(b.slice(1))),
    Array.from({ length: 30 }, (_, number) => `/${number}`),
  )
})

test('a connection that is closed ends the writing', async (t) => {
  const server = createServer((request) => request.socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const writers = await Writers.open(
    (server.address() as AddressInfo).port,
    1,
    () => 'PUT / HTTP/1.1\r\nHost: h\r\n\r\n',
  )
  await assert.rejects(writers.write(2, 0), /closed a connection|ECONNRESET/)
})
