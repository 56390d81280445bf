import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Database } from './database.ts'
import { Fleet } from './fleet.ts'
import type { Registration } from './registrations.ts'
import { Seal } from './seal.ts'

test('a refusal that is repeated is told of once', () => {
  const database = new Database(':memory:', new Seal(Seal.newKey()))
  const fleet = new Fleet(
    database,
    () => 7,
    () => 2,
    () => {},
  )
  const registration = { id: 'r', group: 'default' } as Registration
  const refused = (version: number, code: 'expired' | 'malformed') =>
    fleet.acknowledge(registration, {
      instance_id: 'i',
      version,
      outcome: 'refused',
      refusal: { code, message: 'no', findings: [] },
    })
  assert.equal(refused(1, 'expired'), false, 'of an instance that nobody knows')
  fleet.heartbeat(registration, {
    instance_id: 'i',
    run_id: 'run',
    hostname: 'host',
    ip: '',
    version: '0',
    ports: [],
    cores: 1,
    api_calls: 0,
    control_plane_revision: 0,
  })
  assert.deepEqual(
    [refused(1, 'expired'), refused(1, 'expired'), refused(1, 'malformed'), refused(2, 'malformed')],
    [true, false, true, true],
  )
  database.close()
})
