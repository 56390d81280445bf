/**
 * Gateways as a control plane sees them, many in one process: a certificate, a long poll, heartbeats and
 * acknowledgements over two connections of its own. Signatures, versions and hashes of a bundle are verified, and it is
 * applied, once in a process: all of them get the same bytes, and real ones have a machine each.
 */
import { generateKeyPairSync } from 'node:crypto'
import { Agent } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  configurationOf,
  createCertificateRequest,
  paths,
  type RegistrationAnswer,
  readBundle,
  type VerifiedBundle,
  verifyBundle,
} from '../../src/config-sync/protocol/index.ts'
import { type Answer, ask } from './https.ts'
import { Lane } from './lane.ts'

/** To this process. */
export interface AgentsTask {
  platform: string
  ca: string
  headers: Record<string, string>
  /** Of the first one; the others follow. */
  first: number
  count: number
  /** Milliseconds between two heartbeats of one. */
  heartbeat: number
}

/** From it: an agent's acknowledgement was answered. */
export interface Acknowledged {
  agent: number
  version: number
  /** Milliseconds since 1970, with a fraction. */
  at: number
  /** Bytes of the bundle. */
  bytes: number
  form: string
  /** Requests without an answer, since the start. */
  failures: number
}

const maxBytes = 64 * 1024 * 1024
/** Registrations that are under way at once. */
const lanes = 8

interface Held {
  version: number
  sha256: string
  issued: number
}

/** What the last bundle made of the configuration, and all of them have. */
let text: { sha256: string; text: string } | undefined
/** The last one that was verified. All get the same bytes, and each would verify them on a machine of its own. */
let last: { bytes: Buffer; verified: VerifiedBundle } | undefined

function verifiedOf(bytes: Buffer, verify: () => VerifiedBundle): VerifiedBundle {
  if (last?.bytes.equals(bytes) !== true) {
    const verified = verify()
    const { configuration, content } = verified.manifest
    const base = content.form === 'patch' && content.base.sha256 === text?.sha256 ? text.text : undefined
    if (text?.sha256 !== configuration.sha256) {
      text = { sha256: configuration.sha256, text: configurationOf(verified, base) }
    }
    last = { bytes, verified }
  }
  return last!.verified
}

class SimulatedGateway {
  readonly #registration: RegistrationAnswer
  readonly #number: number
  readonly #poll: Lane
  readonly #reports: Lane
  /** Of reports, one at a time. */
  #turns: Promise<unknown> = Promise.resolve()
  #held: Held | undefined
  #keys = 0
  #failures = 0

  constructor(number: number, registration: RegistrationAnswer, key: string) {
    this.#number = number
    this.#registration = registration
    const { ca, certificate: cert, urls } = registration
    const { port } = new URL(urls.sync[0]!)
    const options = { host: '127.0.0.1', port: Number(port), ca, cert, key }
    this.#poll = new Lane(options)
    this.#reports = new Lane(options)
  }

  /** A real one waits longer each time. */
  async follow(told: (acknowledged: Acknowledged) => void): Promise<never> {
    for (;;) {
      try {
        await this.#once(told)
      } catch {
        this.#failures++
        await sleep(500 + 500 * Math.random())
      }
    }
  }

  async beat(): Promise<void> {
    await this.#report(paths.heartbeat, {
      instance_id: this.#instance,
      run_id: 'bench',
      hostname: `gateway-${this.#number}`,
      ip: '127.0.0.1',
      version: '0.1.0',
      ports: [9080],
      cores: 2,
      api_calls: 100,
      control_plane_revision: this.#held?.version ?? 0,
    }).catch(() => {
      this.#failures++
    })
  }

  async #once(told: (acknowledged: Acknowledged) => void): Promise<void> {
    const bundle = await this.#next()
    if (bundle === undefined) return
    const { manifest, content } = bundle.verified
    const { version, issued, configuration } = manifest
    this.#held = { version, issued, sha256: configuration.sha256 }
    this.#keys = bundle.verified.delegation.version
    await this.#acknowledge(version, configuration.sha256)
    const at = performance.timeOrigin + performance.now()
    const form = manifest.content.form
    const bytes = form === 'whole' ? bundle.bytes : content.length
    told({ agent: this.#number, version, at, bytes, form, failures: this.#failures })
  }

  /** Again until it is taken: who is not heard of would be waited for. */
  async #acknowledge(version: number, sha256: string): Promise<void> {
    const body = { instance_id: this.#instance, version, sha256, outcome: 'applied' }
    for (;;) {
      const answer = await this.#report(paths.acknowledgements, body).catch(() => undefined)
      if (answer?.status === 204) return
      this.#failures++
      await sleep(500 + 500 * Math.random())
    }
  }

  get #instance(): string {
    return `instance-${this.#number}`
  }

  async #next(): Promise<{ verified: VerifiedBundle; bytes: number } | undefined> {
    const held = this.#held
    const query =
      held === undefined ? '' : `&version=${held.version}&sha256=${held.sha256}&issued=${held.issued}`
    const { roots, group } = this.#registration
    const { status, body } = await this.#poll.ask('GET', `${paths.configuration}?wait=30${query}`)
    if (status === 204) return undefined
    if (status !== 200) throw new Error(`${status} ${body}`)
    const verified = verifiedOf(body, () =>
      verifyBundle(readBundle(body), {
        roots,
        group: group.id,
        seen: {
          delegation: this.#keys,
          version: held?.version ?? 0,
          ...(held !== undefined && { sha256: held.sha256 }),
        },
        now: Math.floor(Date.now() / 1000),
        maxBytes,
      }),
    )
    return { verified, bytes: body.length }
  }

  #report(path: string, body: object): Promise<Answer> {
    const answer = this.#turns.then(() => this.#reports.ask('POST', path, body))
    this.#turns = answer.catch(() => {})
    return answer
  }
}

async function registered(task: AgentsTask, number: number, agent: Agent): Promise<SimulatedGateway> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = `gateway-${number}`
  const body = { name, csr: createCertificateRequest(name, privateKey), connected: true }
  const { platform, headers } = task
  const url = `${platform}${paths.registrations}`
  const answer = await ask({ url, method: 'POST', body, headers, agent })
  if (answer.status !== 201) throw new Error(`${answer.status} ${answer.body}`)
  const registration = JSON.parse(answer.body.toString()) as RegistrationAnswer
  return new SimulatedGateway(
    number,
    registration,
    privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
  )
}

async function run(task: AgentsTask): Promise<void> {
  const agent = new Agent({ ca: task.ca, keepAlive: true, maxSockets: lanes })
  const gateways: SimulatedGateway[] = []
  let next = task.first
  const lane = async () => {
    while (next < task.first + task.count) gateways.push(await registered(task, next++, agent))
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  agent.destroy()
  for (const gateway of gateways) void gateway.follow((acknowledged) => process.send!(acknowledged))
  // Spread over the time between two, as gateways that started at different times are.
  let turn = 0
  setInterval(
    () => void gateways[turn++ % gateways.length]!.beat(),
    Math.max(1, task.heartbeat / gateways.length),
  )
}

process.once('message', (task: AgentsTask) => void run(task))
process.once('disconnect', () => process.exit())
