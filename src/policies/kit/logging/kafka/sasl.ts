/** How a client shows a broker who it is: PLAIN (RFC 4616) and SCRAM (RFC 5802). */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

export type SaslMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'

export interface SaslCredentials {
  readonly mechanism: SaslMechanism
  readonly user: string
  readonly password: string
}

/** Sends what the client says, and gives back what the server says to it. */
type Say = (message: Buffer) => Promise<Buffer>

/** Rounds of the hash that a server may ask for: more would keep this process busy for it. */
const mostRounds = 1_000_000
const derive = promisify(pbkdf2)

/** @throws Error that holds no secret */
export async function authenticate({ mechanism, user, password }: SaslCredentials, say: Say): Promise<void> {
  if (mechanism === 'PLAIN') await say(Buffer.from(`\0${user}\0${password}`))
  else await scram(mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512', user, password, say)
}

async function scram(hash: 'sha256' | 'sha512', user: string, password: string, say: Say): Promise<void> {
  const nonce = randomBytes(24).toString('base64')
  const first = `n=${user.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`
  const challenge = (await say(Buffer.from(`n,,${first}`))).toString()
  const { r: serverNonce = '', s: salt = '', i: count = '' } = attributesOf(challenge)
  const rounds = Number(count)
  const isSound = serverNonce.startsWith(nonce) && serverNonce.length > nonce.length && rounds >= 1
  if (!isSound || rounds > mostRounds) throw new Error('the broker sends a challenge that is none of SCRAM')
  const size = hash === 'sha256' ? 32 : 64
  const salted = await derive(password.normalize('NFKC'), Buffer.from(salt, 'base64'), rounds, size, hash)
  const withoutProof = `c=biws,r=${serverNonce}`
  const signed = `${first},${challenge},${withoutProof}`
  const mac = (key: Buffer, text: string) => createHmac(hash, key).update(text).digest()
  const clientKey = mac(salted, 'Client Key')
  const signature = mac(createHash(hash).update(clientKey).digest(), signed)
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ signature[index]!))
  const answer = (await say(Buffer.from(`${withoutProof},p=${proof.toString('base64')}`))).toString()
  const verifier = Buffer.from(attributesOf(answer).v ?? '', 'base64')
  const expected = mac(mac(salted, 'Server Key'), signed)
  if (verifier.length !== expected.length || !timingSafeEqual(verifier, expected))
    throw new Error('the broker does not know the password itself')
}

function attributesOf(text: string): Partial<Record<string, string>> {
  return Object.fromEntries(text.split(',').map((part) => [part.slice(0, 1), part.slice(2)]))
}
