/** Services in Kubernetes: the ready endpoints of a port, as the API server of a cluster knows them. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import type { KubernetesSettings } from '../../../config/discovery.ts'
import { KubernetesNamespace } from './kubernetes-namespace.ts'
import { endpointSlices, endpoints } from './kubernetes-objects.ts'
import type { Registry, RegistryContext, ServiceListener, ServiceQuery, Subscription } from './registry.ts'
import { RegistryClient, RegistryError } from './registry-client.ts'

/** Of every pod. */
const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount'
const connectTimeout = 2000

/** What names of namespaces and services are made of; they become part of a URL. */
const dnsName = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/

export class KubernetesRegistry implements Registry {
  readonly #settings: KubernetesSettings
  readonly #context: RegistryContext
  readonly #client: RegistryClient
  readonly #namespaces = new Map<string, KubernetesNamespace>()

  constructor(settings: KubernetesSettings, context: RegistryContext) {
    this.#settings = settings
    this.#context = context
    this.#client = new RegistryClient({ connectTimeout, ...this.#trust() })
  }

  subscribe(query: ServiceQuery, listener: ServiceListener): Subscription {
    const { namespace = '', name } = query
    if (!dnsName.test(namespace) || !dnsName.test(name) || !this.#isSelected(namespace)) {
      this.#context.log.warn({ namespace, service: name }, 'Kubernetes is not asked about this service')
      listener.nodes([])
      return { close() {} }
    }
    const watched = this.#namespaces.get(namespace) ?? this.#open(namespace)
    const subscription = watched.subscribe(query, listener)
    return {
      close: () => {
        subscription.close()
        if (!watched.isIdle) return
        watched.close()
        this.#namespaces.delete(namespace)
      },
    }
  }

  close(): void {
    for (const namespace of this.#namespaces.values()) namespace.close()
    this.#namespaces.clear()
    this.#client.close()
  }

  #open(namespace: string): KubernetesNamespace {
    const {
      watch_endpoint_slices: slices,
      label_selector: labelSelector,
      default_weight: weight,
    } = this.#settings
    const opened = new KubernetesNamespace({
      namespace,
      kind: slices ? endpointSlices : endpoints,
      client: this.#client,
      origin: () => this.#origin(),
      authorization: () => this.#authorization(),
      labelSelector,
      weight,
      context: this.#context,
    })
    this.#namespaces.set(namespace, opened)
    return opened
  }

  #origin(): string {
    const {
      schema,
      host = process.env.KUBERNETES_SERVICE_HOST,
      port = process.env.KUBERNETES_SERVICE_PORT,
    } = this.#settings.service
    if (host === undefined || port === undefined) {
      throw new RegistryError('neither the settings nor the environment say where the API server is')
    }
    return `${schema}://${isIPv6(host) ? `[${host}]` : host}:${port}`
  }

  async #authorization(): Promise<Record<string, string>> {
    const { token, token_file: file = `${serviceAccount}/token` } = this.#settings.client
    const credential = (token ?? (await this.#readToken(file))).trim()
    return credential === '' ? {} : { authorization: `Bearer ${credential}` }
  }

  async #readToken(file: string): Promise<string> {
    try {
      return await readFile(file, 'utf8')
    } catch (error) {
      // A proxy on the same machine may do without.
      if (this.#settings.service.schema === 'http') return ''
      throw new RegistryError(`the token cannot be read (${(error as NodeJS.ErrnoException).code})`)
    }
  }

  /** In a pod, the authority of the cluster is at hand; elsewhere APISIX does not look at the certificate. */
  #trust(): { ca?: string; verify: boolean } {
    const { schema, host, ssl_verify: wanted, ca_file: file } = this.#settings.service
    if (schema === 'http') return { verify: true }
    if (wanted === false) return { verify: false }
    const path = file ?? (host === undefined ? `${serviceAccount}/ca.crt` : undefined)
    try {
      if (path !== undefined) return { ca: readFileSync(path, 'utf8'), verify: true }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      this.#context.log.error({ path, code }, 'the authorities of the API server cannot be read')
      if (file !== undefined) return { verify: true }
    }
    if (wanted === undefined) {
      this.#context.log.warn(
        { host },
        'the certificate of the API server is not checked: set service.ca_file',
      )
    }
    return { verify: wanted === true }
  }

  #isSelected(namespace: string): boolean {
    const { equal, not_equal: notEqual, match, not_match: notMatch } = this.#settings.namespace_selector
    const matches = (pattern: string) => new RegExp(pattern).exec(namespace)?.[0] === namespace
    if (equal !== undefined) return namespace === equal
    if (notEqual !== undefined) return namespace !== notEqual
    if (match !== undefined) return match.some(matches)
    return notMatch === undefined || !notMatch.some(matches)
  }
}
