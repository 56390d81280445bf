import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSchema } from '../config/schema.ts'
import {
  type GatewayInput,
  gatewaySchema,
  type ListenerSettings,
  resolveSettings,
  type Settings,
} from '../config/settings.ts'
import { highWater, setHighWater } from '../proxy/high-water.ts'
import { overrideSettings } from './synced-document.ts'

const overridden = (
  runtime: Record<string, unknown>,
  listeners: ListenerSettings[],
  trusted: string[] = [],
) => {
  const input: GatewayInput = {}
  assert.deepEqual(checkSchema(gatewaySchema, input), [])
  const settings: Settings = { ...resolveSettings(input, '0.0.0'), listeners, trusted_addresses: trusted }
  overrideSettings(settings, { resources: {}, runtime_configuration: runtime })
  return settings
}

const http: ListenerSettings = { name: 'http', host: '127.0.0.1', port: 9080, protocol: 'http' }
const udp: ListenerSettings = { ...http, name: 'udp', protocol: 'udp' }
const own = { trusted: ['10.0.0.1/32'], untrusted: 'ignore' as const }

test('the PROXY protocol is switched on for listeners that can have it, and believes whom the files trust', () => {
  const on = { proxyProtocol: { enabled: true } }
  const peers = (settings: Settings) => settings.listeners.map(({ proxy_protocol: it }) => it)
  const everybody = { trusted: ['0.0.0.0/0', '::/0'], untrusted: 'close' }
  assert.deepEqual(peers(overridden(on, [http, udp])), [everybody, undefined])
  assert.deepEqual(peers(overridden(on, [http], ['10.0.0.0/8'])), [
    { trusted: ['10.0.0.0/8'], untrusted: 'close' },
  ])
  // A file that says whom it believes is not made to believe others.
  assert.deepEqual(peers(overridden(on, [{ ...http, proxy_protocol: own }])), [own])
  assert.deepEqual(
    peers(overridden({ proxyProtocol: { enabled: false } }, [{ ...http, proxy_protocol: own }])),
    [undefined],
  )
  assert.deepEqual(peers(overridden({}, [{ ...http, proxy_protocol: own }])), [own])
})

test('the limit of connection buffers is that of every connection of a data thread', () => {
  const settings = overridden({ connectionBufferLimits: { global: 65_536 } }, [])
  assert.equal(settings.limits.connection_buffer, 65_536)
  setHighWater(settings)
  assert.equal(highWater, 65_536)
  setHighWater(overridden({}, []))
  assert.equal(highWater, 128 * 1024)
})
