/**
 * The services of one namespace, listed and then watched (kubernetes.io/docs/reference/using-api/api-concepts). Only the
 * namespace is asked for, and of EndpointSlices only those of the services that somebody wants.
 */
import type { DiscoveredNode } from './discovered-node.ts'
import {
  type EndpointSet,
  endpointSlices,
  type ResourceKind,
  readEvent,
  readList,
  selectServices,
} from './kubernetes-objects.ts'
import type { RegistryContext, ServiceListener, ServiceQuery, Subscription } from './registry.ts'
import { type RegistryClient, RegistryError } from './registry-client.ts'
import { Turns } from './turns.ts'

export interface NamespaceOptions {
  namespace: string
  kind: ResourceKind
  client: RegistryClient
  /** Scheme, host and port of the API server. */
  origin: () => string
  /** Asked for each request, because tokens are replaced. */
  authorization: () => Promise<Record<string, string>>
  labelSelector: string
  weight: number
  context: RegistryContext
}

const pageSize = 500
/** Milliseconds to the head of an answer. */
const answerTimeout = 10_000
/** Seconds that the API server keeps a watch open; about as long a dead connection goes unnoticed. */
const watchSeconds = { least: 240, most: 300 }
const watchMarginMs = 30_000
/** Between the beginnings of two watches, when they end at once. */
const leastGapMs = 500
/** Services that are named one after the other share one list. */
const gatherMs = 50
/** Beyond it, a selector by name is left out, so that no URL becomes too long. */
const longestSelector = 1500

/** What happened since the version that was asked for is not known any more: begin with a list. */
class HistoryGone extends RegistryError {}

export class KubernetesNamespace {
  readonly #options: NamespaceOptions
  readonly #listeners = new Map<ServiceListener, ServiceQuery>()
  /** By the name of their object. */
  #sets = new Map<string, EndpointSet>()
  /** Services that the running watch is for. */
  #watched = new Set<string>()
  /** Undefined: a list is needed. */
  #version: string | undefined
  #listed = false
  #serviceSelector = ''
  #turns: Turns | undefined
  #gathering: NodeJS.Timeout | undefined

  constructor(options: NamespaceOptions) {
    this.#options = options
  }

  get isIdle(): boolean {
    return this.#listeners.size === 0
  }

  subscribe(query: ServiceQuery, listener: ServiceListener): Subscription {
    this.#listeners.set(listener, query)
    // A watch that is not for some services knows them all.
    if (this.#turns !== undefined && !this.#isFiltered) this.#watched.add(query.name)
    if (!this.#watched.has(query.name)) this.#gather()
    else if (this.#listed) listener.nodes(this.#nodesOf(query))
    return {
      close: () => {
        this.#listeners.delete(listener)
      },
    }
  }

  close(): void {
    clearTimeout(this.#gathering)
    this.#turns?.close()
    this.#options.context.health.forget(this.#source)
  }

  get #source(): string {
    return `namespace ${this.#options.namespace}`
  }

  /** Labels tell the service of a slice; Endpoints have none that does. */
  get #isFiltered(): boolean {
    return this.#options.kind === endpointSlices && this.#serviceSelector.length <= longestSelector
  }

  /** What was known stands until the new list is there. */
  #gather(): void {
    clearTimeout(this.#gathering)
    this.#gathering = setTimeout(() => this.#begin(), this.#turns === undefined ? 0 : gatherMs)
  }

  #begin(): void {
    this.#turns?.close()
    this.#watched = new Set(Array.from(this.#listeners.values(), ({ name }) => name))
    this.#serviceSelector = selectServices([...this.#watched].toSorted())
    this.#version = undefined
    const { context } = this.#options
    this.#turns = new Turns({
      backoff: context.backoff,
      turn: (signal) => this.#listAndWatch(signal),
      failed: ({ message }) => {
        context.health.failed(this.#source, message)
        for (const listener of this.#listeners.keys()) listener.failed()
      },
    })
  }

  async #listAndWatch(signal: AbortSignal): Promise<number> {
    if (this.#version === undefined) await this.#list(signal)
    if (signal.aborted) return 0
    const begun = performance.now()
    await this.#watch(signal)
    return Math.max(0, leastGapMs - (performance.now() - begun))
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, kind, weight, context } = this.#options
    const sets = new Map<string, EndpointSet>()
    let version: string
    let page: string | undefined
    do {
      const url = this.#url({ limit: String(pageSize), ...(page !== undefined && { continue: page }) })
      const headers = await this.#options.authorization()
      const { status, value } = await client.json({ url, headers, timeout: answerTimeout, signal })
      if (status !== 200) throw new RegistryError(`status ${status} for a list`)
      const read = readList(value, kind, weight)
      if (read === undefined) throw new RegistryError(`an answer that is no ${kind.listKind}`)
      for (const set of read.sets) sets.set(set.name, set)
      page = read.next
      version = read.version
      if (signal.aborted) return
    } while (page !== undefined)
    this.#version = version
    this.#sets = sets
    this.#listed = true
    context.health.succeeded(this.#source)
    this.#tell(() => true)
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const seconds = watchSeconds.least + Math.floor(Math.random() * (watchSeconds.most - watchSeconds.least))
    const url = this.#url({
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(seconds),
      resourceVersion: this.#version ?? '',
    })
    const question = { url, headers: await this.#options.authorization(), timeout: answerTimeout, signal }
    const pause = seconds * 1000 + watchMarginMs
    const { client, context } = this.#options
    try {
      const status = await client.lines(question, pause, {
        begun: () => context.health.succeeded(this.#source),
        line: (line) => {
          if (!signal.aborted) this.#take(line)
        },
      })
      if (status === 410) throw new HistoryGone()
      if (status !== 200) throw new RegistryError(`status ${status} for a watch`)
    } catch (error) {
      if (!(error instanceof HistoryGone)) throw error
      this.#version = undefined
    }
  }

  #take(line: string): void {
    const { kind, weight } = this.#options
    const event = readEvent(line, kind, weight)
    if (event === undefined || event.type === 'error') {
      if (event?.code === 410) throw new HistoryGone()
      // Whatever it was about is found out by a list.
      this.#version = undefined
      throw new RegistryError(
        event === undefined ? 'a line that is no event' : `error ${event.code} in a watch`,
      )
    }
    this.#version = event.version
    switch (event.type) {
      case 'put': {
        const before = this.#sets.get(event.set.name)?.service
        this.#sets.set(event.set.name, event.set)
        this.#tell((service) => service === event.set.service || service === before)
        break
      }
      case 'remove': {
        const before = this.#sets.get(event.name)?.service
        this.#sets.delete(event.name)
        this.#tell((service) => service === before)
        break
      }
      case 'bookmark':
        this.#tell(() => true)
    }
  }

  #tell(concerns: (service: string) => boolean): void {
    for (const [listener, query] of this.#listeners) {
      if (this.#watched.has(query.name) && concerns(query.name)) listener.nodes(this.#nodesOf(query))
    }
  }

  #nodesOf({ name, port = '' }: ServiceQuery): DiscoveredNode[] {
    const nodes: DiscoveredNode[] = []
    for (const set of this.#sets.values())
      if (set.service === name) nodes.push(...(set.nodes.get(port) ?? []))
    return nodes.sort((a, b) => (a.host === b.host ? a.port! - b.port! : a.host < b.host ? -1 : 1))
  }

  #url(query: Record<string, string>): string {
    const { kind, namespace, origin, labelSelector } = this.#options
    const selectors = labelSelector === '' ? [] : [labelSelector]
    if (this.#isFiltered) selectors.push(this.#serviceSelector)
    const all = new URLSearchParams(query)
    if (selectors.length > 0) all.set('labelSelector', selectors.join(','))
    return `${origin()}${kind.path(namespace)}?${all}`
  }
}
