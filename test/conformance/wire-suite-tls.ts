/** The same cases over TLS with clients: framing does not change, but how connections end does. */
import { after } from 'node:test'
import { Authority } from '../harness/certificates.ts'
import { host, type WireCase } from './wire-case.ts'
import { wireSuite } from './wire-suite.ts'

export function wireSuiteOverTls(name: string, cases: WireCase[]): void {
  if (process.env.SLUICE_WIRE_PROXY !== undefined) return
  const authority = new Authority()
  after(() => authority.remove())
  wireSuite(`${name} over TLS`, cases, { tls: authority.issue({ names: [host] }) })
}
