import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLog } from './log.ts'
import { type LogMessage, ThreadLog } from './thread-log.ts'

function collectingLog(level: 'info' | 'warn') {
  const lines: Record<string, unknown>[] = []
  const log = createLog(level, { write: (line) => lines.push(JSON.parse(line)) })
  return { log, lines }
}

test('a line is one JSON object with level, time and message', () => {
  const { log, lines } = collectingLog('info')
  log.info({ listener: 'http', port: 9080 }, 'listening')
  const { time, ...rest } = lines[0]!
  assert.deepEqual(rest, { level: 'info', listener: 'http', port: 9080, message: 'listening' })
  assert.ok(!Number.isNaN(Date.parse(String(time))))
})

test('the level can change while running', () => {
  const { log, lines } = collectingLog('warn')
  log.info({}, 'quiet')
  log.setLevel('debug')
  log.debug({}, 'loud')
  assert.deepEqual(
    lines.map((line) => line.message),
    ['loud'],
  )
})

test('values of secret fields stay out, at the top and one level down', () => {
  const { log, lines } = collectingLog('info')
  log.info({ password: 'hunter2', headers: { authorization: 'Basic aHVudGVyMg==' }, key: 'hunter2' }, 'odd')
  assert.doesNotMatch(JSON.stringify(lines), /hunter2|aHVudGVyMg/)
})

test('a thread sends what its level lets pass, with errors that keep their code', () => {
  const messages: LogMessage[] = []
  const log = new ThreadLog(3, 'info', (message) => messages.push(structuredClone(message)))
  log.debug({}, 'not this')
  const error = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
  log.warn({ err: error, attempt: 2, callback: () => {} }, 'upstream is down')
  assert.equal(messages.length, 1)
  const { level, message, fields } = messages[0]!
  assert.deepEqual([level, message, fields.thread, fields.attempt], ['warn', 'upstream is down', 3, 2])
  assert.deepEqual(
    { ...(fields.err as object), stack: '' },
    { type: 'Error', message: 'refused', stack: '', code: 'ECONNREFUSED' },
  )
})
