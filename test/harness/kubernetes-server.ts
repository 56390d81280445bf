/** A Kubernetes API server as far as Endpoints and EndpointSlices go: list, watch, bookmarks and history that is gone. */
import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import { type Closer, listening } from './listening-server.ts'

interface KubernetesObject {
  metadata: { name: string; namespace: string; labels?: Record<string, string>; resourceVersion?: string }
  [field: string]: unknown
}

interface Change {
  version: number
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  object: KubernetesObject
}

interface Watch {
  namespace: string
  selector: string
  response: ServerResponse
}

const serviceLabel = 'kubernetes.io/service-name'

export interface ApiServerOptions {
  /** The token that is asked for; may be changed by `expect`. */
  token?: string
  tls?: { key: string; cert: string }
  /** Objects of a page, whatever limit is asked for. */
  pageSize?: number
}

export async function startKubernetes(t: Closer, { token, tls, pageSize = 500 }: ApiServerOptions = {}) {
  const kinds = new Map<string, Map<string, KubernetesObject>>([
    ['endpoints', new Map()],
    ['endpointslices', new Map()],
  ])
  const history: (Change & { kind: string })[] = []
  const watches = new Set<Watch & { kind: string }>()
  /** Path and query of every request, decoded. */
  const asked: string[] = []
  const arrivals = new EventTarget()
  let version = 100
  let oldest = 0
  let expected = token
  let broken: ((response: ServerResponse, watch: boolean) => boolean) | undefined

  const handler = (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '', 'http://kubernetes')
    asked.push(decodeURIComponent(request.url ?? '').replaceAll('+', ' '))
    arrivals.dispatchEvent(new Event('request'))
    const watching = url.searchParams.get('watch') === 'true'
    if (broken?.(response, watching) === true) return
    if (expected !== undefined && request.headers.authorization !== `Bearer ${expected}`) {
      return status(response, 401, 'Unauthorized')
    }
    const match =
      /^\/(?:api\/v1|apis\/discovery\.k8s\.io\/v1)\/namespaces\/([^/]+)\/(endpoints|endpointslices)$/.exec(
        url.pathname,
      )
    if (match === null) return status(response, 404, 'NotFound')
    const [, namespace, kind] = match as unknown as [string, string, string]
    const selector = url.searchParams.get('labelSelector') ?? ''
    if (watching) watch(kind, namespace, selector, url.searchParams, response)
    else list(kind, namespace, selector, url.searchParams, response)
  }

  const list = (
    kind: string,
    namespace: string,
    selector: string,
    query: URLSearchParams,
    response: ServerResponse,
  ) => {
    const all = [...kinds.get(kind)!.values()].filter((object) => isWanted(object, namespace, selector))
    const from = Number(query.get('continue') ?? 0)
    const items = all.slice(from, from + pageSize)
    const next = from + pageSize < all.length ? String(from + pageSize) : ''
    json(response, 200, {
      kind: kind === 'endpoints' ? 'EndpointsList' : 'EndpointSliceList',
      apiVersion: kind === 'endpoints' ? 'v1' : 'discovery.k8s.io/v1',
      metadata: { resourceVersion: String(version), ...(next !== '' && { continue: next }) },
      items,
    })
  }

  const watch = (
    kind: string,
    namespace: string,
    selector: string,
    query: URLSearchParams,
    response: ServerResponse,
  ) => {
    const since = Number(query.get('resourceVersion'))
    if (since < oldest) return status(response, 410, 'Expired')
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.flushHeaders()
    const opened = { kind, namespace, selector, response }
    watches.add(opened)
    response.on('close', () => watches.delete(opened))
    for (const change of history) if (change.version > since) tell(opened, change)
  }

  const change = (kind: string, type: Change['type'], object: KubernetesObject) => {
    version++
    const entry = { kind, version, type, object: withVersion(object, version) }
    history.push(entry)
    for (const opened of watches) tell(opened, entry)
  }

  const tell = (opened: Watch & { kind: string }, { kind, type, object }: Change & { kind: string }) => {
    if (kind !== opened.kind || !isWanted(object, opened.namespace, opened.selector)) return
    opened.response.write(`${JSON.stringify({ type, object })}\n`)
  }

  const server = tls === undefined ? http.createServer(handler) : https.createServer(tls, handler)
  const { port, stop, restart } = await listening(t, server)

  const put = (kind: string, object: KubernetesObject) => {
    const objects = kinds.get(kind)!
    const key = `${object.metadata.namespace}/${object.metadata.name}`
    const type = objects.has(key) ? 'MODIFIED' : 'ADDED'
    objects.set(key, withVersion(object, version + 1))
    change(kind, type, object)
  }

  return {
    port,
    asked,
    get watches() {
      return watches.size
    },
    put: (object: KubernetesObject) => put('endpoints' in object ? 'endpointslices' : 'endpoints', object),
    remove(kind: 'endpoints' | 'endpointslices', namespace: string, name: string) {
      const object = kinds.get(kind)!.get(`${namespace}/${name}`)
      if (object === undefined) return
      kinds.get(kind)!.delete(`${namespace}/${name}`)
      change(kind, 'DELETED', object)
    },
    /** Everybody who watches is told how far it is. */
    bookmark() {
      version++
      for (const { response } of watches) {
        const object = { kind: 'EndpointSlice', metadata: { resourceVersion: String(version) } }
        response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`)
      }
      return String(version)
    },
    /** Writes bytes as they are to everybody who watches. */
    write(bytes: string | Buffer) {
      for (const { response } of watches) response.write(bytes)
    },
    /** Ends all watches, as their time was over. */
    endWatches() {
      for (const { response } of watches) response.end()
    },
    /** What happened until now is forgotten; those who watch are told so when `tellThem`. */
    forgetHistory({ tellThem }: { tellThem: boolean }) {
      oldest = version + 1
      version++
      history.length = 0
      if (!tellThem) return
      const object = { kind: 'Status', status: 'Failure', reason: 'Expired', code: 410 }
      for (const { response } of watches) response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`)
    },
    /** From now on, another token is asked for. */
    expect(next: string) {
      expected = next
    },
    /** Answers in place of the usual where it returns true. */
    breakWith(handler: typeof broken) {
      broken = handler
    },
    async requests(count: number) {
      while (asked.length < count) await once(arrivals, 'request')
    },
    stop,
    restart,
  }
}

/** Only the two forms of selectors that tests use: `a=b`, and `in` for the service. */
function isWanted({ metadata }: KubernetesObject, namespace: string, selector: string): boolean {
  if (metadata.namespace !== namespace) return false
  const among = /kubernetes\.io\/service-name in \(([^)]*)\)/.exec(selector)?.[1]
  if (among !== undefined && !among.split(',').includes(metadata.labels?.[serviceLabel] ?? '')) return false
  const equals = selector.replace(/,?kubernetes\.io\/service-name in \([^)]*\)/, '')
  return equals
    .split(',')
    .filter(Boolean)
    .every((part) => {
      const [label = '', value] = part.split('=')
      return metadata.labels?.[label] === value
    })
}

function withVersion(object: KubernetesObject, version: number): KubernetesObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } }
}

function status(response: ServerResponse, code: number, reason: string): void {
  json(response, code, { kind: 'Status', status: 'Failure', reason, code })
}

function json(response: ServerResponse, code: number, value: unknown): void {
  response.writeHead(code, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify(value))
}

/** An EndpointSlice with one port. */
export function slice(
  name: string,
  addresses: readonly string[],
  port: { name?: string; port: number },
  more: { service?: string; namespace?: string; labels?: Record<string, string>; endpoints?: unknown[] } = {},
): KubernetesObject {
  const { service = 'users', namespace = 'default', labels = {}, endpoints } = more
  return {
    metadata: { name, namespace, labels: { [serviceLabel]: service, ...labels } },
    addressType: 'IPv4',
    endpoints:
      endpoints ?? addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
    ports: [{ name: '', protocol: 'TCP', ...port }],
  }
}

/** An Endpoints object with one subset. */
export function endpointsOf(
  name: string,
  addresses: readonly string[],
  ports: readonly { name?: string; port: number }[],
  namespace = 'default',
): KubernetesObject {
  return {
    metadata: { name, namespace },
    subsets: [{ addresses: addresses.map((ip) => ({ ip })), notReadyAddresses: [{ ip: '10.9.9.9' }], ports }],
  }
}
