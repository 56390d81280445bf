/** Tokens that gateways count together, in a real Redis. */
import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { RedisServer, withoutRedis } from '../harness/redis-server.ts'

const answer = {
  choices: [{ message: { role: 'assistant', content: 'Hi' } }],
  usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
}

suite('ai-rate-limiting in Redis', { skip: withoutRedis }, () => {
  let redis: RedisServer
  const gateways: RunningGateway[] = []
  let asked = 0
  const provider = http.createServer((request, response) => {
    request.resume().on('end', () => {
      asked++
      response.setHeader('Content-Type', 'application/json').end(JSON.stringify(answer))
    })
  })

  before(async () => {
    redis = await RedisServer.start(['--requirepass', 'hidden'])
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
    const endpoint = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/v1/chat/completions`
    const counted = (id: string, password: string) => ({
      id,
      uri: `/${id}/*`,
      plugins: {
        'ai-proxy': { provider: 'openai', auth: {}, override: { endpoint } },
        'ai-rate-limiting': {
          limit: 20,
          time_window: 3600,
          policy: 'redis',
          redis_host: '127.0.0.1',
          redis_port: redis.port,
          redis_password: password,
          rejected_code: 429,
        },
      },
    })
    for (let i = 0; i < 2; i++)
      gateways.push(
        await startGateway((port) =>
          JSON.stringify({
            gateway: {
              workers: 1,
              listeners: [{ host: '127.0.0.1', port }],
              metrics: { enabled: false },
              control: { enabled: false },
            },
            routes: [counted('right', 'hidden'), counted('wrong', 'guessed')],
          }),
        ),
      )
  })
  after(async () => {
    for (const gateway of gateways) await gateway.stop()
    provider.closeAllConnections()
    provider.close()
    await redis.stop()
  })

  const ask = async (gateway: number, id: string) => {
    const response = await fetch(`http://127.0.0.1:${gateways[gateway]!.port}/${id}/v1/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ messages: [{ role: 'user', content: 'Hello' }] }),
      headers: { 'content-type': 'application/json' },
    })
    return { status: response.status, headers: response.headers, text: await response.text() }
  }

  test('what one gateway has spent, the other has not', async () => {
    assert.equal((await ask(0, 'right')).status, 200)
    // Tokens are counted once the answer is complete, and nobody waits for it.
    let second = await ask(1, 'right')
    while (second.status === 200) second = await ask(1, 'right')
    assert.equal(second.status, 429)
    const before = asked
    const third = await ask(0, 'right')
    assert.equal(third.status, 429)
    assert.equal(third.headers.get('x-ai-ratelimit-remaining-ai-proxy-openai'), '0')
    assert.equal(asked, before)
  })

  test('a wrong password counts nothing and lets nobody pass, and is not told', async () => {
    const before = asked
    const answered = await ask(0, 'wrong')
    assert.equal(answered.status, 500)
    assert.equal(asked, before)
    assert.doesNotMatch(answered.text + gateways[0]!.output(), /guessed/)
  })
})
