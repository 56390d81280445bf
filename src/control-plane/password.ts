/** Passwords and secrets of clients, kept as scrypt hashes (RFC 7914). */
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

/** 32 MiB and about a tenth of a second each. */
const cost = { N: 32_768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 }
/** At once: they wait in line, so that a flood of logins costs neither memory nor all threads of the pool. */
const mostAtOnce = 2

const derive = promisify(scrypt) as (
  password: string,
  salt: Buffer,
  length: number,
  options: ScryptOptions,
) => Promise<Buffer>

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16)
  const hash = await inLine(() => derive(password, salt, 32, cost))
  return `scrypt$${cost.N}$${cost.r}$${cost.p}$${salt.toString('base64url')}$${hash.toString('base64url')}`
}

/** Takes as long whether there is such a hash or not. */
export async function verifyPassword(password: string, kept: string | undefined): Promise<boolean> {
  const [, N, r, p, salt = '', hash = ''] = (kept ?? nobody).split('$')
  const options = { N: Number(N), r: Number(r), p: Number(p), maxmem: cost.maxmem }
  const given = await inLine(() => derive(password, Buffer.from(salt, 'base64url'), 32, options))
  const expected = Buffer.from(hash, 'base64url')
  return timingSafeEqual(given, expected) && kept !== undefined
}

const nobody = `scrypt$${cost.N}$${cost.r}$${cost.p}$${'A'.repeat(22)}$${'A'.repeat(43)}`

let running = 0
const line: (() => void)[] = []

async function inLine<T>(work: () => Promise<T>): Promise<T> {
  if (running >= mostAtOnce) await new Promise<void>((resolve) => line.push(resolve))
  else running++
  try {
    return await work()
  } finally {
    const next = line.shift()
    if (next === undefined) running--
    else next()
  }
}
