/** Gateways that registered, the certificates that they got, and the tokens for the next. */
import {
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  randomUUID,
  X509Certificate,
} from 'node:crypto'
import {
  type Authority,
  CertificateRequestError,
  issueCertificate,
  randomSerial,
  readCertificateRequest,
  sha256,
  writeToken,
} from '../config-sync/protocol/index.ts'
import type { Collection, Database, RecordChange } from './database.ts'
import { Problem } from './problem.ts'

export interface Registration {
  id: string
  name: string
  connected: boolean
  organization: string
  environment: string
  group: string
  /** Of the gateway's software, when it registered. */
  version?: string
  /** Seconds since 1970. */
  created: number
  author: string
}

export interface IssuedCertificate {
  /** Hexadecimal, in lower case. */
  serial: string
  registration: string
  fingerprint: string
  /** Seconds since 1970. */
  issued: number
  expires: number
  revoked?: { time: number; author: string; reason: string }
}

/** By the SHA-256 of its secret. */
export interface RegistrationToken {
  id: string
  group: string
  created: number
  expires: number
  author: string
}

/** Seconds. */
const tokenLife = 24 * 3600
const certificateLife = 365 * 24 * 3600
/** Clocks of gateways may be behind. */
const backdated = 3600

/** What tells a certificate from all others. */
export type ShownCertificate = Pick<IssuedCertificate, 'serial' | 'fingerprint'>

export interface RegistrationsOptions {
  database: Database
  authority: Authority
  trustHash: string
  organization: string
  environment: string
  /** Seconds since 1970. */
  now: () => number
}

export class Registrations {
  readonly registrations: Collection<Registration>
  readonly certificates: Collection<IssuedCertificate>
  readonly tokens: Collection<RegistrationToken>
  readonly #options: RegistrationsOptions

  constructor(options: RegistrationsOptions) {
    this.#options = options
    this.registrations = options.database.collection('registrations')
    this.certificates = options.database.collection('certificates')
    this.tokens = options.database.collection('registration-tokens')
  }

  /** For one registration. @returns the token as it is pasted, which is not shown again */
  addToken(group: string, author: string): { token: string; entry: RegistrationToken } {
    const { database, trustHash, now } = this.#options
    const secret = randomBytes(32).toString('base64url')
    const created = now()
    const entry = { id: randomUUID(), group, created, expires: created + tokenLife, author }
    const old = [...this.tokens.entries()].filter(([, { expires }]) => expires <= created)
    database.commit([
      this.tokens.change(sha256(secret), entry),
      ...old.map(([hash]) => this.tokens.change(hash, undefined)),
    ])
    return { token: writeToken({ secret, trust: trustHash }), entry }
  }

  /** What the secret is for; undefined: it is unknown, used or too old. */
  tokenOf(secret: string): RegistrationToken | undefined {
    const found = this.tokens.get(sha256(secret))
    return found !== undefined && found.expires > this.#options.now() ? found : undefined
  }

  removeToken(id: string): void {
    const found = [...this.tokens.entries()].find(([, token]) => token.id === id)
    if (found === undefined) throw new Problem(404, `there is no token ${id}`)
    this.tokens.remove(found[0])
  }

  /** @param secret of the token that is used up by this, if one is. @throws Problem 400, 409 */
  register(
    wanted: Omit<Registration, 'id' | 'created'> & { csr: string },
    secret?: string,
  ): { registration: Registration; certificate: string } {
    const { csr, ...facts } = wanted
    const { commonName, publicKey } = requestIn(csr)
    if (commonName !== facts.name) throw new Problem(400, 'the certificate request is for another name')
    if (this.#isTaken(facts)) {
      throw new Problem(
        409,
        'an active target with the same name already exists in this organization and environment',
      )
    }
    const registration = { ...facts, id: randomUUID(), created: this.#options.now() }
    const { certificate, change } = this.#issue(registration, publicKey)
    this.#options.database.commit([
      this.registrations.change(registration.id, registration),
      change,
      ...(secret === undefined ? [] : [this.tokens.change(sha256(secret), undefined)]),
    ])
    return { registration, certificate }
  }

  /** The certificates before it stay as they are. @throws Problem 400, 404 */
  renew(id: string, csr: string): string {
    const registration = this.registrations.get(id)
    if (registration === undefined) throw new Problem(404, `there is no registration ${id}`)
    const { commonName, publicKey } = requestIn(csr)
    if (commonName !== id) throw new Problem(400, 'the certificate request is for another name')
    const { certificate, change } = this.#issue(registration, publicKey)
    this.#options.database.commit([change])
    return certificate
  }

  /** With a key that is made here, for gateways that are set up by their environment. */
  issueWithKey(facts: Omit<Registration, 'id' | 'created' | 'name'>, days: number) {
    const id = randomUUID()
    const registration = { ...facts, id, name: `gateway-${id.slice(0, 8)}`, created: this.#options.now() }
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const { certificate, change } = this.#issue(registration, createPublicKey(key), days * 24 * 3600)
    this.#options.database.commit([this.registrations.change(id, registration), change])
    return { registration, certificate, key: key.export({ format: 'pem', type: 'pkcs8' }) as string }
  }

  /** Whose certificate it is; undefined: we did not issue it, or it does not count any more. */
  holderOf({ serial, fingerprint }: ShownCertificate): Registration | undefined {
    const found = this.certificates.get(serial)
    if (found === undefined || found.fingerprint !== fingerprint) return undefined
    if (found.revoked !== undefined || found.expires <= this.#options.now()) return undefined
    return this.registrations.get(found.registration)
  }

  certificatesOf(registration: string): IssuedCertificate[] {
    return this.certificates.all().filter((one) => one.registration === registration)
  }

  revoke(serial: string, author: string, reason: string): IssuedCertificate {
    const found = this.certificates.get(serial)
    if (found === undefined) throw new Problem(404, `there is no certificate ${serial}`)
    const revoked = { ...found, revoked: found.revoked ?? { time: this.#options.now(), author, reason } }
    this.certificates.put(serial, revoked)
    return revoked
  }

  /** Its certificates are revoked, its name is free. */
  remove(id: string, author: string): void {
    if (this.registrations.get(id) === undefined) throw new Problem(404, `there is no registration ${id}`)
    const time = this.#options.now()
    const revoked = { time, author, reason: 'the registration was removed' }
    this.#options.database.commit([
      this.registrations.change(id, undefined),
      ...this.certificatesOf(id).map((one) =>
        this.certificates.change(one.serial, { ...one, revoked: one.revoked ?? revoked }),
      ),
    ])
  }

  #isTaken({ name, organization, environment }: Pick<Registration, 'name' | 'organization' | 'environment'>) {
    return this.registrations
      .all()
      .some(
        (one) => one.name === name && one.organization === organization && one.environment === environment,
      )
  }

  #issue(
    { id, organization, group }: Registration,
    publicKey: KeyObject,
    life = certificateLife,
  ): { certificate: string; change: RecordChange } {
    const { authority, now } = this.#options
    const issued = now()
    const expires = issued + life
    const pem = issueCertificate(
      {
        subject: { commonName: id, organization, unit: group },
        publicKey,
        notBefore: new Date((issued - backdated) * 1000),
        notAfter: new Date(expires * 1000),
        use: 'client',
        serial: randomSerial(),
      },
      authority,
    )
    const certificate = new X509Certificate(pem)
    const serial = serialOf(certificate)
    const entry = { serial, registration: id, fingerprint: certificate.fingerprint256, issued, expires }
    return { certificate: pem, change: this.certificates.change(serial, entry) }
  }
}

function requestIn(csr: string) {
  try {
    return readCertificateRequest(csr)
  } catch (error) {
    if (error instanceof CertificateRequestError) throw new Problem(400, error.message)
    throw error
  }
}

const serialOf = (certificate: X509Certificate) => certificate.serialNumber.toLowerCase()
