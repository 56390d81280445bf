/** The fields that the engine itself understands. Parsers give each known field line its id; all others are 0. */
import { nameHash } from '../headers.ts'

export const Field = {
  other: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  keepAlive: 5,
  proxyConnection: 6,
  te: 7,
  upgrade: 8,
  expect: 9,
  trailer: 10,
  http2Settings: 11,
  proxyAuthorization: 12,
  proxyAuthenticate: 13,
  xRealIp: 14,
  xForwardedFor: 15,
  xForwardedProto: 16,
  xForwardedHost: 17,
  xForwardedPort: 18,
  forwarded: 19,
  xConsumerUsername: 20,
  xCredentialIdentifier: 21,
  xConsumerCustomId: 22,
  server: 23,
  date: 24,
  via: 25,
} as const

const namesById: readonly string[] = [
  '',
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'upgrade',
  'expect',
  'trailer',
  'http2-settings',
  'proxy-authorization',
  'proxy-authenticate',
  'x-real-ip',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'forwarded',
  'x-consumer-username',
  'x-credential-identifier',
  'x-consumer-custom-id',
  'server',
  'date',
  'via',
]

/** Open addressing by hash: slots hold ids, 0 is empty. Sized so that most unknown names meet an empty slot at once. */
const slots = new Uint8Array(512)
const hashes = new Int32Array(namesById.length)
for (let id = 1; id < namesById.length; id++) {
  const hash = nameHash(namesById[id] as string)
  hashes[id] = hash
  let slot = slotOf(hash)
  while (slots[slot] !== 0) slot = (slot + 1) & 511
  slots[slot] = id
}

function slotOf(hash: number): number {
  return (hash ^ (hash >>> 9) ^ (hash >>> 18)) & 511
}

/** The id of a name given by its hash, or 0. The caller compares the bytes: hashes of other names can be equal. */
export function knownByHash(hash: number): number {
  let slot = slotOf(hash)
  let id = slots[slot] as number
  while (id !== 0) {
    if (hashes[id] === hash) return id
    slot = (slot + 1) & 511
    id = slots[slot] as number
  }
  return 0
}

export function knownName(id: number): string {
  return namesById[id] as string
}

/** Id of a lower-case name, 0 when it is none of ours. */
export function knownId(lower: string): number {
  const id = knownByHash(nameHash(lower))
  return id !== 0 && namesById[id] === lower ? id : 0
}
