/** A control plane of its own for a test, and gateways that are nothing but a certificate. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  configurationOf,
  createCertificateRequest,
  paths,
  type RegistrationAnswer,
  readBundle,
  readToken,
  type SyncedConfiguration,
  sha256,
  type VerifiedBundle,
  verifyBundle,
} from '../../src/config-sync/protocol/index.ts'
import {
  type RunningControlPlane,
  type RunningOptions,
  runControlPlane,
} from '../../src/control-plane/index.ts'
import { catalogue, policySchemas } from '../../src/policies/index.ts'
import { createLog } from '../../src/telemetry/log.ts'

export interface HttpsQuestion {
  method?: string
  body?: unknown
  headers?: Record<string, string>
  client?: { certificate: string; key: string }
  /** Absent: whoever it is. */
  ca?: string
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every form
export type Json = any

export interface HttpsAnswer {
  status: number
  headers: Record<string, string | string[] | undefined>
  bytes: Buffer
  text: string
  /** Of the body, where it is JSON. */
  json: Json
}

/** Milliseconds until an answer is complete; a poll takes half a minute. */
const longestAnswer = 60_000

/** @throws also when the answer is not there in time */
export function askHttps(url: string, question: HttpsQuestion = {}): Promise<HttpsAnswer> {
  const { method = 'GET', body, headers = {}, client, ca } = question
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        method,
        agent: false,
        signal: AbortSignal.timeout(longestAnswer),
        headers: { ...(body !== undefined && { 'Content-Type': 'application/json' }), ...headers },
        ...(ca === undefined ? { rejectUnauthorized: false } : { ca }),
        ...(client && { cert: client.certificate, key: client.key }),
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const bytes = Buffer.concat(chunks)
          const text = bytes.toString()
          let json: unknown
          try {
            json = JSON.parse(text)
          } catch {
            json = undefined
          }
          resolve({ status: response.statusCode!, headers: response.headers, bytes, text, json })
        })
      },
    )
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body))
  })
}

const quiet = createLog('error')

export interface TestControlPlane extends Omit<RunningControlPlane, 'newToken'> {
  data: string
  key: string
  /** Of the first start; for one registration. */
  token: string
  rootPassphrase: string
  /** As the administrator of the first start. */
  ask(method: string, path: string, body?: unknown): Promise<HttpsAnswer>
  newToken(group?: string): Promise<string>
  /** Ends it and begins again in the same folder. */
  restart(): Promise<void>
  remove(): Promise<void>
}

/** In this process, on ports of its own. */
export async function startTestControlPlane(
  options: Partial<RunningOptions> = {},
): Promise<TestControlPlane> {
  const data = options.data ?? mkdtempSync(join(tmpdir(), 'sluice-control-plane-'))
  const run = () =>
    runControlPlane({
      data,
      host: '127.0.0.1',
      port: 0,
      syncPort: 0,
      names: ['localhost'],
      catalogue: policySchemas(catalogue),
      log: quiet,
      version: '0.0.0-test',
      ...options,
    })
  let running = await run()
  const { adminKey: key = '', registerCommand = '', rootPassphrase = '' } = running.first ?? {}
  const plane: TestControlPlane = {
    get platform() {
      return running.platform
    },
    get sync() {
      return running.sync
    },
    data,
    key,
    token: /--token=(\S+)/.exec(registerCommand)?.[1] ?? '',
    rootPassphrase,
    ask: (method, path, body) =>
      askHttps(`${running.platform}${path}`, { method, body, headers: { 'X-API-KEY': key } }),
    async newToken(group = 'default') {
      const answer = await plane.ask('POST', `/api/gateway_groups/${group}/instance_tokens?only_token=true`)
      return answer.text
    },
    async restart() {
      await running.close()
      running = await run()
    },
    close: () => running.close(),
    async remove() {
      await running.close()
      rmSync(data, { recursive: true, force: true })
    },
  }
  return plane
}

/** The side of a gateway, as far as the protocol goes: it runs nothing. */
export class TestAgent {
  readonly registration: RegistrationAnswer
  readonly key: KeyObject
  readonly sync: string
  certificate: string
  instance = 'instance-1'
  held: { version: number; sha256: string; issued: number; text: string } | undefined
  keysVersion = 0
  /** Bytes of the last bundle. */
  received = 0
  form = ''

  constructor(registration: RegistrationAnswer, key: KeyObject) {
    this.registration = registration
    this.key = key
    this.certificate = registration.certificate
    this.sync = registration.urls.sync[0]!
  }

  static async register(platform: string, token: string, name = 'edge'): Promise<TestAgent> {
    const { secret, trust } = readToken(token)
    const seen = await askHttps(`${platform}${paths.trust}`)
    if (sha256(seen.bytes) !== trust) throw new Error('the trust document is another one')
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    const answer = await askHttps(`${platform}${paths.registrations}`, {
      method: 'POST',
      ca: seen.json.ca,
      headers: { Authorization: `Bearer ${secret}` },
      body: { name, csr: createCertificateRequest(name, key), connected: true },
    })
    if (answer.status !== 201) throw new Error(`${answer.status} ${answer.text}`)
    return new TestAgent(answer.json, key)
  }

  ask(path: string, method = 'GET', body?: unknown): Promise<HttpsAnswer> {
    return askHttps(`${this.sync}${path}`, {
      method,
      body,
      ca: this.registration.ca,
      client: {
        certificate: this.certificate,
        key: this.key.export({ format: 'pem', type: 'pkcs8' }) as string,
      },
    })
  }

  /** One long poll. @returns the configuration that is news; undefined: there was none */
  async poll(wait = 0, whole = false): Promise<SyncedConfiguration | undefined> {
    const { held } = this
    const query = new URLSearchParams({ wait: String(wait), ...(whole && { whole: '1' }) })
    if (held !== undefined) {
      query.set('version', String(held.version))
      query.set('sha256', held.sha256)
      query.set('issued', String(held.issued))
    }
    const answer = await this.ask(`${paths.configuration}?${query}`)
    if (answer.status === 204) return undefined
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`)
    this.received = answer.bytes.length
    const verified = this.verify(answer.bytes)
    const text = configurationOf(verified, held?.text)
    const { version, issued, configuration, content } = verified.manifest
    this.form = content.form
    this.keysVersion = verified.delegation.version
    this.held = { version, issued, sha256: configuration.sha256, text }
    return JSON.parse(text)
  }

  /** Polls until there is what it waits for. */
  async until(isThere: (configuration: SyncedConfiguration) => boolean): Promise<SyncedConfiguration> {
    for (;;) {
      const configuration = await this.poll(20)
      if (configuration !== undefined && isThere(configuration)) return configuration
    }
  }

  verify(bytes: Buffer): VerifiedBundle {
    const { held } = this
    return verifyBundle(readBundle(bytes), {
      roots: this.registration.roots,
      group: this.registration.group.id,
      seen: {
        delegation: this.keysVersion,
        version: held?.version ?? 0,
        ...(held !== undefined && { sha256: held.sha256 }),
      },
      now: Math.floor(Date.now() / 1000),
      maxBytes: 64 * 1024 * 1024,
    })
  }

  acknowledge(outcome: 'applied' | 'refused', more: object = {}): Promise<HttpsAnswer> {
    const { version, sha256: digest } = this.held!
    const body = { instance_id: this.instance, version, sha256: digest, outcome, ...more }
    return this.ask(paths.acknowledgements, 'POST', body)
  }

  heartbeat(more: object = {}): Promise<HttpsAnswer> {
    return this.ask(paths.heartbeat, 'POST', {
      instance_id: this.instance,
      run_id: 'run-1',
      hostname: 'host',
      ip: '127.0.0.1',
      version: '0.1.0',
      ports: [9080],
      cores: 2,
      api_calls: 10,
      control_plane_revision: this.held?.version ?? 0,
      ...more,
    })
  }
}
