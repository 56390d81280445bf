/** The two ports of a control plane, both with TLS: one for gateways and their certificates, one for everybody else. */
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { type Answer, bodyText } from '../admin/api/answer.ts'
import { issueCertificate } from '../config-sync/protocol/index.ts'
import type { ControlPlane } from './control-plane.ts'
import type { PrivateFolder } from './private-files.ts'
import { type Port, Router } from './router.ts'
import { Turns } from './turns.ts'

const { createServer } = process.getBuiltinModule('node:https')

const limits = {
  requestTimeout: 30_000,
  headersTimeout: 15_000,
  handshakeTimeout: 10_000,
  keepAliveTimeout: 75_000,
  maxHeaderSize: 16 * 1024,
}
/** Bytes of an answer that wait for one reader; a thousand may ask for the whole configuration at once. */
const pieceBytes = 16 * 1024
/** Milliseconds in which a reader takes none of it. */
const longestSilence = 30_000
/** At once; each of them fills the buffers of its connection. */
const mostLargeAnswers = 32
/** Milliseconds after which one that is still under way keeps nobody waiting. */
const longestTurn = 1000
const mostConnections = { sync: 10_000, platform: 512 }
const day = 24 * 3600
const certificateLife = 397 * day
const renewBefore = 30 * day
const certificateFile = 'server.pem'
const keyFile = 'server.key'

export interface ServerOptions {
  plane: ControlPlane
  folder: PrivateFolder
  host: string
  ports: Record<Port, number>
  /** Names and addresses under which it is known. */
  names: readonly string[]
}

export class ControlPlaneServer {
  readonly #options: ServerOptions
  readonly #router: Router
  readonly #servers: Record<Port, Server>
  readonly #renewal: NodeJS.Timeout

  constructor(options: ServerOptions) {
    this.#options = options
    const { plane } = options
    this.#router = new Router(plane)
    const identity = serverIdentity(options)
    const { certificate: ca } = plane.keys.authority
    const minVersion = 'TLSv1.2' as const
    this.#servers = {
      platform: createServer({ ...limits, ...identity, minVersion }, (request, response) =>
        this.#serve(request, response, 'platform'),
      ),
      // Who shows no certificate is told so, instead of a connection that breaks.
      sync: createServer(
        { ...limits, ...identity, minVersion, ca, requestCert: true, rejectUnauthorized: false },
        (request, response) => this.#serve(request, response, 'sync'),
      ),
    }
    for (const port of ['sync', 'platform'] as const) {
      this.#servers[port].maxConnections = mostConnections[port]
    }
    this.#renewal = setInterval(() => this.#renew(), day * 1000)
    this.#renewal.unref()
  }

  /** @returns the ports in use */
  async listen(): Promise<Record<Port, number>> {
    const { host, ports } = this.#options
    const found = { ...ports }
    for (const port of ['platform', 'sync'] as const) {
      const server = this.#servers[port]
      server.listen(ports[port], host)
      await once(server, 'listening')
      found[port] = (server.address() as AddressInfo).port
    }
    return found
  }

  async close(): Promise<void> {
    clearInterval(this.#renewal)
    await Promise.all(
      Object.values(this.#servers).map(async (server) => {
        server.closeAllConnections()
        if (server.listening) await new Promise((resolve) => server.close(resolve))
      }),
    )
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse, port: Port): Promise<void> {
    try {
      const answer = await this.#router.answer(incoming, port)
      if (response.destroyed) return
      await send(answer, incoming, response)
    } catch (err) {
      if (incoming.destroyed && !incoming.complete) return
      this.#options.plane.log.error({ err, path: incoming.url?.split('?')[0] }, 'the control plane failed')
      if (!response.headersSent) {
        const body = { status: 500, message: 'this failed; the log says why' }
        await send({ status: 500, body }, incoming, response)
      }
    }
  }

  #renew(): void {
    const identity = serverIdentity(this.#options)
    const { certificate: ca } = this.#options.plane.keys.authority
    this.#servers.platform.setSecureContext(identity)
    this.#servers.sync.setSecureContext({ ...identity, ca })
  }
}

const largeAnswers = new Turns(mostLargeAnswers, longestTurn)

async function send(answer: Answer, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const { status, headers = {} } = answer
  const body = Buffer.isBuffer(answer.body) ? answer.body : Buffer.from(bodyText(answer))
  const type = typeof answer.body === 'string' ? 'text/plain' : 'application/json'
  response.writeHead(status, {
    ...(body.length > 0 && { 'Content-Type': type }),
    ...(status !== 204 && { 'Content-Length': body.length }),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    // What was not read of a body would be taken for the next request. And a connection keeps the buffers of the largest
    // answer that it carried: a thousand gateways that were sent everything once would hold them for good.
    ...((!incoming.complete || body.length > pieceBytes) && { Connection: 'close' }),
    ...headers,
  })
  if (incoming.method === 'HEAD') response.end()
  else if (body.length <= pieceBytes) response.end(body)
  else {
    const leave = await largeAnswers.enter()
    response.setTimeout(longestSilence)
    // Who goes away in the middle of it has no complaint.
    await pipeline(piecesOf(body), response).catch(() => {})
    leave()
  }
}

function* piecesOf(body: Buffer): Iterable<Buffer> {
  for (let at = 0; at < body.length; at += pieceBytes) yield body.subarray(at, at + pieceBytes)
}

/** The certificate that is shown; a new one where there is none for these names, or it ends soon. */
function serverIdentity({ folder, plane, names }: ServerOptions): { cert: string; key: string } {
  const cert = folder.read(certificateFile)
  const key = folder.read(keyFile)
  const now = plane.now()
  if (cert !== undefined && key !== undefined && isFine(cert, plane, names, now)) return { cert, key }
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const issued = issueCertificate(
    {
      subject: { commonName: 'sluice control plane' },
      publicKey: pair.publicKey,
      notBefore: new Date((now - 3600) * 1000),
      notAfter: new Date((now + certificateLife) * 1000),
      use: 'server',
      names,
    },
    plane.keys.authority,
  )
  const pem = pair.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
  folder.write(keyFile, pem)
  folder.write(certificateFile, issued)
  return { cert: issued, key: pem }
}

function isFine(pem: string, { keys }: ControlPlane, names: readonly string[], now: number): boolean {
  const certificate = new X509Certificate(pem)
  return (
    certificate.verify(new X509Certificate(keys.authority.certificate).publicKey) &&
    Date.parse(certificate.validTo) / 1000 > now + renewBefore &&
    names.every(
      (name) => certificate.checkHost(name) !== undefined || certificate.checkIP(name) !== undefined,
    )
  )
}
