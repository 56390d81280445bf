/** What a gateway says of itself every few seconds, in the shape of API7's agents. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import type { Log } from '../telemetry/log.ts'
import { messageBounds } from './connection.ts'
import type { HeldConfiguration } from './held-configuration.ts'
import type { Link } from './link.ts'
import { readDocument } from './protocol/document.ts'
import { type Heartbeat, heartbeatAnswerSchema, paths } from './protocol/messages.ts'
import type { SyncStatus } from './status.ts'

export interface GatewayFacts {
  ports: number[]
  cores: number
  /** Since the start. */
  requests: number
}

export interface HeartbeatsOptions {
  link: Link
  held: HeldConfiguration
  log: Log
  /** Of the gateway's software. */
  version: string
  /** Milliseconds between two. */
  every: number
  status(): SyncStatus
  facts(): GatewayFacts
  /** The control plane has something newer. */
  news(): void
  /** One was answered. */
  answered(): Promise<void>
}

export class Heartbeats {
  readonly #options: HeartbeatsOptions
  readonly #run = randomUUID()
  /** Requests that the control plane knows of. */
  #reported = 0
  #newest = 0

  constructor(options: HeartbeatsOptions) {
    this.#options = options
  }

  /** Until the link ends. */
  async run(): Promise<void> {
    const { link, every } = this.#options
    while (!link.ending.aborted) {
      await this.#beat()
      await delay(every, undefined, { signal: link.ending, ref: false }).catch(() => {})
    }
  }

  async #beat(): Promise<void> {
    const { link, held, log, facts, answered } = this.#options
    try {
      const { requests, ports, cores } = facts()
      const body = this.#body(requests - this.#reported, ports, cores)
      const answer = await link.send({ method: 'POST', path: paths.heartbeat, body, ...messageBounds })
      this.#reported = requests
      const { instance_id: id, config } = readDocument(heartbeatAnswerSchema, answer.body)
      if (id !== undefined) await held.rename(id)
      this.#hear(config?.config_version ?? 0)
      await answered()
    } catch (error) {
      if (link.ending.aborted) return
      log.debug({ reason: (error as Error).message }, 'a heartbeat was not taken')
    }
  }

  #body(calls: number, ports: number[], cores: number): Heartbeat {
    const { link, status, version: software } = this.#options
    const { configuration, certificate, desired_status: desired, clock_skew: skew, instance } = status()
    const { sha256, refusal, state, version, stale } = configuration
    return {
      instance_id: instance,
      run_id: this.#run,
      subsystem: 'http',
      hostname: hostname(),
      ip: link.localAddress,
      version: software,
      ports,
      cores,
      api_calls: calls,
      control_plane_revision: version,
      probe_result: {},
      sluice: {
        configuration: {
          state: state === 'kept' ? 'applied' : state,
          version,
          stale,
          ...(sha256 !== undefined && { sha256 }),
          ...(refusal !== undefined && { refusal }),
        },
        certificate,
        status: desired,
        clock_skew: skew,
        started: Math.floor(performance.timeOrigin / 1000),
      },
    }
  }

  /** The same number is told of once: a bundle that is refused stays the newest. */
  #hear(newest: number): void {
    const { held, news } = this.#options
    if (newest > held.version && newest > this.#newest) news()
    this.#newest = Math.max(this.#newest, newest)
  }
}
