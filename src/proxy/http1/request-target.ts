/** Where a request wants to go: its target in any form of RFC 9112 3.2, its host, and the target of the upstream's copy. */
import type { Settings } from '../../config/settings.ts'
import { errors, type GatewayError } from '../errors.ts'
import {
  comparablePath,
  hasParameters,
  parseHost,
  plainWithoutParameters,
  readTarget,
  splitAbsoluteTarget,
  stripPrefix,
  type Target,
} from '../target.ts'
import type { Head } from './head.ts'

const SLASH = 0x2f

/** Made once per connection and filled for each request. */
export class RequestTarget implements Target {
  path = ''
  query = ''
  changed = false
  /** Host without port, lower case; empty when an HTTP/1.0 client sent none. */
  host = ''
  /** The authority of an absolute-form target, which replaces the Host field; else empty. */
  authority = ''
  /** The path as the upstream gets it: with escapes, and what the settings leave out of `path`. */
  private canonical = ''
  /** Origin-form, or `*`. */
  private origin = ''
  /** The path holds `;x`, which some servers cut off. */
  hasParameters = false
  private hostField = ''

  /** @returns why the request is refused, or null */
  read(head: Head, rules: Settings['paths']): GatewayError | null {
    this.path = this.origin = head.target
    this.query = ''
    this.changed = false
    this.authority = ''
    let plain = !head.pathNeedsWork
    if (head.target.charCodeAt(0) !== SLASH) {
      plain = false
      if (!this.readOtherForm(head)) return errors.badTarget
    }
    // `OPTIONS *` is about the server as a whole (RFC 9110 9.3.7): it goes where `/` goes.
    const asterisk = this.origin === '*'
    if (readTarget(asterisk ? '/' : this.origin, rules, this, plain) !== null) return errors.badTarget
    this.canonical = this.path
    if (!plain) this.path = comparablePath(this.path)
    this.hasParameters = !plain && rules.parameters === 'check' && hasParameters(this.path)
    if (!plain && rules.parameters === 'ignore' && hasParameters(this.path)) {
      const path = plainWithoutParameters(this.path, rules)
      if (path === null) return errors.badTarget
      this.path = path
    }
    if (rules.trailing_slash === 'ignore' && this.path.length > 1 && this.path.endsWith('/')) {
      this.path = this.path.slice(0, -1)
    }
    return this.readHost(head)
  }

  /**
   * The target for the upstream: the client's own bytes where they can mean one path only, else the canonical path.
   * @returns null when what is left after the prefix is no path of its own
   */
  forUpstream(prefix: string, rules: Settings['paths']): string | null {
    if (this.origin === '*' || (prefix === '' && !this.changed)) return this.origin
    const path = prefix === '' ? this.canonical : stripPrefix(this.canonical, prefix, rules)
    const query = this.origin.indexOf('?')
    return path === null ? null : query < 0 ? path : path + this.origin.slice(query)
  }

  private readOtherForm(head: Head): boolean {
    if (head.target === '*') return head.method === 'OPTIONS'
    const absolute = splitAbsoluteTarget(head.target, head.method)
    if (absolute === null) return false
    this.authority = absolute.authority
    this.origin = absolute.target
    return true
  }

  /** The Host field must be sound even where an authority replaces it (RFC 9112 3.2). */
  private readHost(head: Head): GatewayError | null {
    if (head.hostField >= 0) {
      if (!this.takeHost(head.value(head.hostField))) return errors.badHost
    } else this.hostField = this.host = ''
    return this.authority === '' || this.takeHost(this.authority) ? null : errors.badHost
  }

  private takeHost(field: string): boolean {
    // Nearly every request of a connection names the host of the one before.
    if (field !== '' && field === this.hostField) return true
    const parsed = parseHost(field)
    if (parsed === null) return false
    this.hostField = field
    this.host = parsed.host
    return true
  }
}
