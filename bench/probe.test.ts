import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { SteadyProbe } from './probe.ts'

test('a stall shows in full, and a reset forgets what was seen', async (t) => {
  const { promise: stalled, resolve: stall } = Promise.withResolvers<void>()
  let held = 0
  const server = createServer(async (_request, response) => {
    if (held > 0) await sleep(held)
    response.end('ok')
    if (held > 0) stall()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const probe = await SteadyProbe.open((server.address() as AddressInfo).port, '/', 2, 2)
  t.after(() => {
    probe.close()
    server.closeAllConnections()
    server.close()
  })

  while (probe.report().answers < 10) await sleep(2)
  held = 300
  await stalled
  const during = probe.report()
  assert.ok(during.longestWait >= 295, `a wait of 300 ms was seen as ${during.longestWait}`)

  probe.reset()
  assert.equal(probe.report().answers, 0)
})

test('a connection that the server closes is an error, not a quiet line', async (t) => {
  const server = createServer((request) => request.socket.destroy())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const probe = await SteadyProbe.open((server.address() as AddressInfo).port, '/', 1, 2)
  t.after(() => {
    probe.close()
    server.close()
  })
  const lost = async () => {
    for (;;) {
      probe.report()
      await sleep(5)
    }
  }
  await assert.rejects(lost)
})
