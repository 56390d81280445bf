/**
 * Generated messages over real sockets. Requests go twice, in one segment and in pieces: whatever they are, the gateway
 * gives both the same answers, and sends both in the same unambiguous form to the upstream. Answers of the upstream reach
 * the client whole and unambiguous, or visibly broken. After all of them the gateway serves others.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { fromOrigin } from '../conformance/outcomes.ts'
import { wireConfig } from '../conformance/wire-config.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { converse } from '../harness/raw-client.ts'
import { ScriptedUpstream } from '../harness/scripted-upstream.ts'
import { EngineReader } from './engine-reader.ts'
import { cuts, generate } from './generate.ts'
import { Random } from './random.ts'
import { cutAt } from './reading.ts'

const cases = Number(process.env.SLUICE_FUZZ_CASES ?? 150)
const seed = Number(process.env.SLUICE_FUZZ_SEED ?? Date.now() % 2 ** 32)

const request = 'GET /here HTTP/1.1\r\nHost: h\r\n\r\n'

describe('generated messages over sockets', () => {
  const upstream = new ScriptedUpstream()
  let gateway: RunningGateway

  before(async () => {
    await upstream.listen()
    gateway = await startGateway((port) => wireConfig(port, upstream.port, {}))
  })
  after(async () => {
    await gateway?.stop()
    await upstream.close()
  })

  test(`${cases} requests`, async (t) => {
    t.diagnostic(`SLUICE_FUZZ_SEED=${seed}`)
    let served = 0
    for (let number = 0; number < cases; number++) {
      const caseSeed = (seed + number) >>> 0
      const random = new Random(caseSeed)
      const bytes = generate(random, 'request')
      // Answers to HEAD cannot be told apart without knowing which requests were understood.
      if (bytes.includes('HEAD')) continue
      const whole = await send([bytes])
      const inPieces = await send(cutAt(bytes, cuts(random, bytes.length)))
      const message = `SLUICE_FUZZ_SEED=${caseSeed} ${JSON.stringify(bytes.toString('latin1'))}`
      assert.deepEqual(whole.doubts, [], message)
      assert.deepEqual(inPieces, whole, message)
      served += whole.arrived.length
    }
    assert.ok(served > cases / 10, `only ${served} requests reached the upstream: the generator is broken`)
    await alive()
  })

  test(`${cases} answers`, async (t) => {
    t.diagnostic(`SLUICE_FUZZ_SEED=${seed}`)
    const engine = new EngineReader()
    let passed = 0
    for (let number = 0; number < cases; number++) {
      const caseSeed = (seed + number) >>> 0
      const random = new Random(caseSeed)
      const bytes = generate(random, 'response')
      const pieces = cutAt(bytes, cuts(random, bytes.length))
      await upstream.reset({
        onRequest: (_request, connection) => {
          for (const piece of pieces) connection.send(piece)
          connection.end()
        },
      })
      const { answers, findings } = await converse({ port: gateway.port, steps: [request], settle: 0 })
      const message = `SLUICE_FUZZ_SEED=${caseSeed} ${JSON.stringify(bytes.toString('latin1'))}`
      const doubts = findings.filter((finding) => finding.severity === 'ambiguous')
      assert.deepEqual(doubts, [], message)
      const wanted = engine.read('response', [bytes]).messages.find(({ start }) => !/^1(?!01)/.test(start))
      const [answer] = answers
      if (wanted === undefined || wanted.start.startsWith('101')) {
        assert.ok(answer === undefined || !answer.complete || answer.status === 502, message)
      } else {
        assert.equal(answer?.status, Number(wanted.start.slice(0, 3)), message)
        assert.equal(answer.body.toString('latin1'), wanted.body, message)
        assert.ok(answer.complete, message)
        passed++
      }
    }
    assert.ok(passed > cases / 10, `only ${passed} answers could be passed on: the generator is broken`)
    await upstream.reset()
    await alive()
  })

  async function alive(): Promise<void> {
    const { answers } = await converse({ port: gateway.port, steps: [request] })
    assert.equal(answers[0]?.status, 200)
  }

  /** Sends the pieces, then FIN, and waits until the gateway has closed as well. */
  async function send(pieces: Buffer[]) {
    await upstream.reset()
    const steps = [...pieces.filter((piece) => piece.length > 0), { end: true as const }, { closed: 4000 }]
    const { answers, findings, closed } = await converse({
      port: gateway.port,
      steps,
      methods: [],
      settle: 0,
    })
    return {
      closed,
      // Bytes that are no request are refused with or without a word, as far as they have come.
      answers: answers.filter(fromOrigin).map(({ status, complete }) => ({ status, complete })),
      arrived: upstream.requests
        .filter((request) => request.complete)
        .map(({ startLine, body }) => `${startLine} ${body}`),
      doubts: [...findings, ...upstream.findings].filter((finding) => finding.severity === 'ambiguous'),
    }
  }
})
