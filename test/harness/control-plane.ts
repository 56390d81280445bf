/**
 * A control plane for tests of gateways: real TLS, real signatures, and whatever a test wants to be wrong with them.
 * It keeps everything in memory and answers as docs/reference/sync-protocol.md says.
 */
import {
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  X509Certificate,
} from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import {
  type Acknowledgement,
  type Authority,
  bundleMediaType,
  canonicalJson,
  type Delegation,
  type Heartbeat,
  issueCertificate,
  type Manifest,
  patchBetween,
  paths,
  publicKeyOf,
  type RegistrationRequest,
  readCertificateRequest,
  type SyncedConfiguration,
  sha256,
  signDelegation,
  signManifest,
  writeBundle,
  writeToken,
} from '../../src/config-sync/protocol/index.ts'
import { newStoreKey, type Registration } from '../../src/config-sync/registration.ts'

export type SigningKey = KeyObject

const hour = 3600
const day = 24 * hour
const seconds = () => Math.floor(Date.now() / 1000)

export const newSigningKey = (): SigningKey => generateKeyPairSync('ed25519').privateKey
const newCertificateKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

export interface ControlPlaneOptions {
  group?: string
  /** Seconds by which its clock is ahead. */
  ahead?: number
  /** Days for which certificates of gateways hold, from `certificateFrom` days ago. */
  certificateDays?: number
}

/** How a bundle is made; a test changes what it likes. */
export interface BundleParts {
  delegation: Delegation
  manifest: Manifest
  content: Buffer
  root: SigningKey
  signer: SigningKey
}

export class ControlPlane {
  readonly group: string
  readonly root = newSigningKey()
  signer = newSigningKey()
  readonly authority: Authority
  readonly heartbeats: Heartbeat[] = []
  readonly acknowledgements: Acknowledgement[] = []
  /** Metrics, health and lines of the log. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies of every form
  readonly uploads: { path: string; body: any }[] = []
  readonly registrations: RegistrationRequest[] = []
  readonly revoked = new Set<string>()
  /** Requests for configuration, with what they asked for. */
  readonly polls: URLSearchParams[] = []
  renewals = 0
  /** How many of the next acknowledgements break off without an answer. */
  lostAcknowledgements = 0
  version = 0
  delegationVersion = 1
  revokedKeys: string[] = []
  /** Keys that the root names besides the one that signs. */
  otherSigners: SigningKey[] = []
  configuration: SyncedConfiguration = { resources: {} }
  /** Changes each bundle before it is signed. */
  alter: (parts: BundleParts) => BundleParts = (parts) => parts
  /** Changes each bundle after it was signed. */
  tamper: (bundle: Buffer) => Buffer = (bundle) => bundle
  /** Takes the place of the answer to a request for configuration. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
  token = ''
  readonly users = new Map([['ada', 'correct horse']])
  readonly #ahead: number
  readonly #certificateDays: number
  readonly #server: Server
  readonly #history = new Map<string, SyncedConfiguration>()
  readonly #waiting = new Set<() => void>()
  readonly #watchers = new Set<() => void>()
  #secret = ''

  private constructor({ group = 'edge', ahead = 0, certificateDays = 90 }: ControlPlaneOptions) {
    this.group = group
    this.#ahead = ahead
    this.#certificateDays = certificateDays
    const key = newCertificateKey()
    this.authority = { key, certificate: selfSigned(key) }
    const serverKey = newCertificateKey()
    this.#server = createServer(
      {
        key: serverKey.export({ format: 'pem', type: 'pkcs8' }),
        cert: this.certificateFor(serverKey, 'control plane', 'server', ['localhost', '127.0.0.1']),
        ca: this.authority.certificate,
        requestCert: true,
        rejectUnauthorized: false,
      },
      (request, response) => void this.#serve(request, response),
    )
  }

  static async start(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
    const started = new ControlPlane(options)
    started.#server.listen(0, '127.0.0.1')
    await once(started.#server, 'listening')
    started.newToken()
    return started
  }

  get url(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get trust(): string {
    return JSON.stringify({ ca: this.authority.certificate, roots: [publicKeyOf(this.root)] })
  }

  newToken(): string {
    this.#secret = newStoreKey()
    this.token = writeToken({ secret: this.#secret, trust: sha256(this.trust) })
    return this.token
  }

  /** Without a network. `days`: from now until the certificate ends. */
  registration(changes: Partial<Registration> & { days?: number; from?: number } = {}): Registration {
    const { days = this.#certificateDays, from = -1, ...others } = changes
    const id = randomUUID()
    const key = newCertificateKey()
    return {
      id,
      name: 'gateway',
      connected: true,
      region: 'local',
      organization: 'org',
      environment: 'env',
      group: { id: this.group, name: this.group },
      platform: this.url,
      sync: [this.url],
      ca: this.authority.certificate,
      roots: [publicKeyOf(this.root)],
      certificate: this.certificateFor(key, id, 'client', [], days, from),
      key: key.export({ format: 'pem', type: 'pkcs8' }) as string,
      storeKey: newStoreKey(),
      ...others,
    }
  }

  certificateFor(
    key: KeyObject,
    commonName: string,
    use: 'server' | 'client',
    names: readonly string[],
    days = 90,
    from = -1,
  ): string {
    const now = Date.now()
    return issueCertificate(
      {
        subject: { commonName, organization: 'org', unit: this.group },
        publicKey: key.type === 'private' ? createPublicKey(key) : key,
        notBefore: new Date(now + from * day * 1000),
        notAfter: new Date(now + days * day * 1000),
        use,
        ...(names.length > 0 && { names }),
      },
      this.authority,
    )
  }

  /** @returns the version */
  publish(configuration: SyncedConfiguration): number {
    this.configuration = configuration
    this.#history.set(sha256(canonicalJson(configuration)), configuration)
    this.version++
    this.wake()
    return this.version
  }

  /** Answers everybody who waits. */
  wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  /** Resolves once it holds; it is looked at after each request. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.#watchers.add(resolve)
      })
    }
  }

  acknowledged(version: number): Promise<void> {
    return this.until(() =>
      this.acknowledgements.some((one) => one.version === version && one.outcome === 'applied'),
    )
  }

  async refusal(code: string): Promise<Acknowledgement> {
    const found = () => this.acknowledgements.find(({ refusal }) => refusal?.code === code)
    await this.until(() => found() !== undefined)
    return found()!
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  bundle(query = new URLSearchParams()): Buffer {
    const text = canonicalJson(this.configuration)
    const base = this.#history.get(query.get('sha256') ?? '')
    const now = seconds() + this.#ahead
    const parts: BundleParts = {
      delegation: {
        version: this.delegationVersion,
        issued: now,
        expires: now + 90 * day,
        keys: [this.signer, ...this.otherSigners].map((key) => ({
          key: publicKeyOf(key),
          not_before: now - hour,
          not_after: now + 30 * day,
        })),
        revoked: this.revokedKeys,
      },
      manifest: {
        group: this.group,
        version: this.version,
        issued: now,
        expires: now + day,
        configuration: { sha256: sha256(text), size: Buffer.byteLength(text) },
        content: { form: 'whole' },
      },
      content: Buffer.from(text),
      root: this.root,
      signer: this.signer,
    }
    if (base !== undefined && query.get('whole') !== '1') {
      const content = Buffer.from(JSON.stringify(patchBetween(base, this.configuration)))
      parts.content = content
      parts.manifest.content = {
        form: 'patch',
        sha256: sha256(content),
        size: content.length,
        base: { version: Number(query.get('version')), sha256: query.get('sha256')! },
      }
    }
    const { delegation, manifest, content, root, signer } = this.alter(parts)
    return this.tamper(
      writeBundle({
        delegation: signDelegation(delegation, root),
        manifest: signManifest(manifest, signer),
        content,
      }),
    )
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request)
    response.setHeader('Date', new Date(Date.now() + this.#ahead * 1000).toUTCString())
    const url = new URL(request.url ?? '/', this.url)
    try {
      await this.#route(url, request, response, body)
    } catch (error) {
      response.writeHead(500).end(JSON.stringify({ status: 500, message: String(error) }))
    } finally {
      for (const watcher of this.#watchers) watcher()
      this.#watchers.clear()
    }
  }

  async #route(url: URL, request: IncomingMessage, response: ServerResponse, body: string): Promise<void> {
    const { pathname, searchParams } = url
    if (pathname === paths.trust) return void send(response, 200, this.trust)
    if (pathname === paths.login) return void this.#login(response, body)
    if (pathname === paths.registrations) return void this.#register(request, response, body)
    if (pathname.endsWith('/certificate')) return void this.#renew(request, response, body)
    const problem = this.#unwelcome(request)
    if (problem !== undefined)
      return void send(response, 403, JSON.stringify({ status: 403, message: problem }))
    if (pathname === paths.heartbeat) {
      this.heartbeats.push(JSON.parse(body))
      return void send(response, 200, JSON.stringify({ config: { config_version: this.version } }))
    }
    if ([paths.metrics, paths.healthcheck, paths.logs].some((path) => path === pathname)) {
      this.uploads.push({ path: pathname, body: JSON.parse(body) })
      return void send(response, 200, '{}')
    }
    if (pathname === paths.acknowledgements) {
      if (this.lostAcknowledgements > 0) {
        this.lostAcknowledgements--
        return void response.destroy()
      }
      this.acknowledgements.push(JSON.parse(body))
      return void send(response, 204)
    }
    this.polls.push(searchParams)
    if (this.answer !== undefined) return void this.answer(request, response)
    if (Number(searchParams.get('version') ?? 0) >= this.version)
      await this.#news(response, Number(searchParams.get('wait')))
    if (response.destroyed) return
    const scripted = this.#scripted()
    if (scripted !== undefined) return void scripted(request, response)
    if (Number(searchParams.get('version') ?? 0) >= this.version) return void send(response, 204)
    send(response, 200, this.bundle(searchParams), bundleMediaType)
  }

  /** What a test said meanwhile. */
  #scripted(): typeof this.answer {
    return this.answer
  }

  #news(response: ServerResponse, wait: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, wait * 1000)
      const waiting = this.#waiting
      function done() {
        clearTimeout(timer)
        waiting.delete(done)
        resolve()
      }
      this.#waiting.add(done)
      response.on('close', done)
    })
  }

  /** Why whoever asks is not listened to. */
  #unwelcome(request: IncomingMessage): string | undefined {
    const socket = request.socket as TLSSocket
    const { serialNumber } = socket.getPeerCertificate()
    if (serialNumber === undefined) return 'a client certificate is required'
    if (!socket.authorized) return `the client certificate is refused: ${socket.authorizationError}`
    return this.revoked.has(serialNumber) ? 'the client certificate is revoked' : undefined
  }

  #login(response: ServerResponse, body: string): void {
    const { username, password } = JSON.parse(body) as { username: string; password: string }
    if (this.users.get(username) !== password) {
      return void send(response, 401, JSON.stringify({ status: 401, message: 'Unauthorized' }))
    }
    send(response, 200, JSON.stringify({ access_token: 'access', token_type: 'bearer' }))
  }

  #register(request: IncomingMessage, response: ServerResponse, body: string): void {
    const wanted = JSON.parse(body) as RegistrationRequest
    const bearer = request.headers.authorization
    if (bearer !== `Bearer ${this.#secret}` && bearer !== 'Bearer access') {
      return void send(
        response,
        401,
        JSON.stringify({ status: 401, message: 'no valid registration token was found' }),
      )
    }
    if (bearer !== 'Bearer access') this.#secret = 'used'
    this.registrations.push(wanted)
    const { publicKey } = readCertificateRequest(wanted.csr)
    const id = randomUUID()
    send(
      response,
      201,
      JSON.stringify({
        id,
        name: wanted.name,
        connected: wanted.connected,
        group: { id: this.group, name: this.group },
        organization: 'org',
        environment: 'env',
        certificate: this.certificateFor(publicKey, id, 'client', [], this.#certificateDays),
        ca: this.authority.certificate,
        roots: [publicKeyOf(this.root)],
        urls: { sync: [this.url], platform: this.url },
      }),
    )
  }

  #renew(request: IncomingMessage, response: ServerResponse, body: string): void {
    const isCertified = (request.socket as TLSSocket).authorized && this.#unwelcome(request) === undefined
    if (!isCertified && request.headers.authorization !== 'Bearer access') {
      return void send(response, 401, JSON.stringify({ status: 401, message: 'Unauthorized' }))
    }
    this.renewals++
    const { publicKey, commonName } = readCertificateRequest((JSON.parse(body) as { csr: string }).csr)
    send(
      response,
      200,
      JSON.stringify({
        certificate: this.certificateFor(publicKey, commonName, 'client', [], this.#certificateDays),
        ca: this.authority.certificate,
        urls: { sync: [this.url], platform: `${this.url}/` },
      }),
    )
  }
}

export const serialOf = ({ certificate }: Registration): string =>
  new X509Certificate(certificate).serialNumber

function selfSigned(key: KeyObject): string {
  const now = Date.now()
  return issueCertificate(
    {
      subject: { commonName: 'Test control plane' },
      publicKey: createPublicKey(key),
      notBefore: new Date(now - 400 * day * 1000),
      notAfter: new Date(now + 400 * day * 1000),
      use: 'authority',
    },
    { key },
  )
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += chunk
  return text
}

function send(
  response: ServerResponse,
  status: number,
  body: string | Buffer = '',
  type = 'application/json',
): void {
  response.writeHead(status, {
    'Content-Type': type,
    ...(status !== 204 && { 'Content-Length': Buffer.byteLength(body) }),
  })
  response.end(body)
}
