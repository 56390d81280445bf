/** Certificates by the names that clients ask for: an exact name before a wildcard, a longer wildcard before a shorter one. */
import type { SslSpec } from '../../config/plan.ts'
import type { Settings } from '../../config/settings.ts'
import type { ClientTls } from './client-tls.ts'
import { ServerCertificate } from './server-certificate.ts'

export class Certificates {
  /** Some ask clients for a certificate, so that it matters under which name a request comes. */
  guardsHosts = false
  private settings: Settings['tls'] | null = null
  private bySpec = new Map<SslSpec, ServerCertificate>()
  private readonly byId = new Map<string, ServerCertificate>()
  private readonly exact = new Map<string, ServerCertificate>()
  /** By what follows the `*`. */
  private readonly wildcards = new Map<string, ServerCertificate>()
  /** Where that does not begin with a dot; longest first. */
  private odd: (readonly [rest: string, certificate: ServerCertificate])[] = []

  /** From now on handshakes use these; connections that are open do not notice. */
  use(ssls: ReadonlyMap<string, SslSpec>, settings: Settings['tls']): void {
    const known = this.settings === settings ? this.bySpec : new Map<SslSpec, ServerCertificate>()
    this.settings = settings
    this.bySpec = new Map()
    this.byId.clear()
    this.exact.clear()
    this.wildcards.clear()
    this.odd = []
    this.guardsHosts = false
    for (const spec of ssls.values()) {
      if (spec.type !== 'server') continue
      const certificate = known.get(spec) ?? new ServerCertificate(spec, settings)
      this.bySpec.set(spec, certificate)
      this.byId.set(spec.id, certificate)
      if (spec.client !== undefined) this.guardsHosts = true
      for (const name of spec.snis) this.enter(name, certificate)
    }
    this.odd.sort(([a], [b]) => b.length - a.length)
  }

  /** The certificate with that id; null: there is none. */
  named(id: string): ServerCertificate | null {
    return this.byId.get(id) ?? null
  }

  /** The certificate for a name in lower case; null: there is none. */
  find(name: string): ServerCertificate | null {
    const exact = this.exact.get(name)
    if (exact !== undefined) return exact
    // A wildcard stands for one label.
    const dot = name.indexOf('.')
    const wildcard = dot === -1 ? undefined : this.wildcards.get(name.slice(dot))
    if (wildcard !== undefined) return wildcard
    for (const [rest, certificate] of this.odd) {
      if (rest === '') return certificate
      if (name.endsWith(rest) && !name.slice(0, -rest.length).includes('.')) return certificate
    }
    return null
  }

  /**
   * Whether a request over this connection may be for that host and path: what asks for a certificate of the client is
   * open only to those that showed one for that very name.
   */
  admits(connection: ClientTls, host: string, path: string): boolean {
    const { certificate } = connection
    if (certificate.judgesRequests && connection.verify !== 'SUCCESS' && !certificate.skips(path))
      return false
    const meant = this.find(host)
    if (meant === null || meant.spec.client === undefined) return true
    if (connection.name !== host) return false
    if (meant.judgesRequests && meant.skips(path)) return true
    // The certificate may have changed since the handshake, and with it who vouches for clients.
    return connection.verify === 'SUCCESS' && certificate.spec.client?.ca === meant.spec.client.ca
  }

  private enter(name: string, certificate: ServerCertificate): void {
    if (!name.startsWith('*')) {
      if (!this.exact.has(name)) this.exact.set(name, certificate)
      return
    }
    const rest = name.slice(1)
    if (!rest.startsWith('.')) this.odd.push([rest, certificate])
    else if (!this.wildcards.has(rest)) this.wildcards.set(rest, certificate)
  }
}
