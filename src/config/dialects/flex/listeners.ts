/** The ports of API instances -> listeners, with what Configurations say of all of them. */
import { isDeepStrictEqual } from 'node:util'
import { below, type Place, type Report } from '../../report.ts'
import { type InstanceAddress, instanceAddress } from './addresses.ts'
import { type Applied, appliedTo } from './applied.ts'
import type { FlexModel } from './model.ts'
import { checkConfig } from './policy-config.ts'
import { ciphersOf, protocolsOf, type TlsConfig, tlsSchema } from './tls.ts'
import type { Translation } from './translation.ts'

interface Port {
  address: InstanceAddress
  place: Place
  /** Of the first instance on it that has one. */
  tls?: { applied: Applied; config: TlsConfig }
}

const silent = { add: () => {} } as unknown as Report

/** Certificates between that of a client and the authority. */
const depth = 4

/** @param isProxied connections begin with a header of the PROXY protocol */
export function translateListeners(
  model: FlexModel,
  isProxied: boolean,
  translation: Translation,
  report: Report,
): void {
  const ports = portsOf(model, report)
  const [first] = ports.values()
  if (first === undefined) return
  const ciphers = new Map<string, Place>()
  const listeners = [...ports.values()].map(({ address: { host, port, isSecure }, place, tls }) => {
    const name = `port-${port}`
    const listener = {
      name,
      host,
      port,
      ...(isProxied && { proxy_protocol: { trusted: ['0.0.0.0/0', '::/0'], untrusted: 'ignore' } }),
    }
    if (!isSecure) return listener
    if (tls === undefined) {
      report.add(place, {
        code: 'missing-field',
        message: 'an instance with https needs a certificate',
        hint: 'Bind the policy tls to it: {policyRef: {name: tls}, config: {certificate: {key, crt}}}.',
      })
      return listener
    }
    const { alpn = ['h2', 'http/1.1'] } = tls.config
    const { configPlace } = tls.applied
    const suites = ciphersOf(tls.config.ciphers, configPlace, report)
    if (suites !== undefined) ciphers.set(suites, below(configPlace, 'ciphers'))
    addCertificate(name, tls, translation, report)
    return { ...listener, protocol: 'https', http2: alpn.includes('h2'), ssl: name }
  })
  translation.set('listeners', listeners, first.place)
  const [suites, other] = ciphers.entries()
  if (suites !== undefined) translation.set('tls', { ciphers: suites[0] }, suites[1])
  if (other !== undefined) {
    report.add(other[1], {
      code: 'conflicting-fields',
      message: 'another port has other cipher suites, and here all ports have the same',
      hint: 'Give them the same ciphers.',
    })
  }
}

function addCertificate(
  id: string,
  { applied, config }: NonNullable<Port['tls']>,
  translation: Translation,
  report: Report,
): void {
  const { certificate, requireClientCertificate, trustedCA } = config
  const { configPlace } = applied
  if (requireClientCertificate && trustedCA === undefined) {
    report.add(configPlace, {
      code: 'missing-field',
      message: 'requireClientCertificate needs trustedCA, which says whose certificates are believed',
    })
    return
  }
  if (!requireClientCertificate && trustedCA !== undefined) {
    report.add(below(configPlace, 'trustedCA'), {
      code: 'ignored-field',
      severity: 'warning',
      at: 'key',
      message: 'has no effect without requireClientCertificate: clients are not asked',
    })
  }
  const ssl = {
    id,
    // Which certificate is shown is said by the listener; nobody asks for this name.
    sni: `${id}.invalid`,
    cert: certificate.crt,
    key: certificate.key,
    ssl_protocols: protocolsOf(config, configPlace, report),
    ...(requireClientCertificate && { client: { ca: trustedCA, depth } }),
  }
  translation.add('ssls', ssl, configPlace, [
    [['cert'], below(configPlace, 'certificate', 'crt')],
    [['key'], below(configPlace, 'certificate', 'key')],
    [['client', 'ca'], below(configPlace, 'trustedCA')],
  ])
}

function portsOf(model: FlexModel, report: Report): Map<number, Port> {
  const ports = new Map<number, Port>()
  for (const instance of model.instances) {
    const place = below(instance.place, 'address')
    // What is wrong with it was told already.
    const address = instanceAddress(instance.spec.address, place, silent)
    if (address === undefined) continue
    const known = ports.get(address.port)
    if (known !== undefined && known.address.host !== address.host) {
      duplicate(
        place,
        `another API instance listens on port ${address.port} of ${known.address.host}`,
        'host',
        report,
      )
      continue
    }
    if (known !== undefined && known.address.isSecure !== address.isSecure) {
      duplicate(
        place,
        `another API instance on port ${address.port} has the other of http and https`,
        'scheme',
        report,
      )
      continue
    }
    const port: Port = known ?? { address, place }
    ports.set(address.port, port)
    for (const applied of appliedTo(instance, model)) {
      if (applied.name === 'tls') useTls(port, applied, report)
    }
  }
  return ports
}

/** All instances of a port share what its connections are like. */
function useTls(port: Port, applied: Applied, report: Report): void {
  if (!port.address.isSecure) {
    report.add(applied.place, {
      code: 'ignored-field',
      severity: 'warning',
      message: 'has no effect: the address of the instance begins with http://',
    })
    return
  }
  const config = checkConfig(tlsSchema, applied, report)
  if (config === undefined) return
  if (port.tls === undefined) port.tls = { applied, config }
  else if (!isDeepStrictEqual(port.tls.config, config)) {
    report.add(applied.configPlace, {
      code: 'conflicting-fields',
      message: `another API instance on port ${port.address.port} has another configuration of tls`,
      hint: 'A port has one: bind the same to all of its instances, or to one of them.',
    })
  }
}

function duplicate(place: Place, message: string, what: string, report: Report): void {
  report.add(place, { code: 'duplicate-listener', message, hint: `Give both the same ${what}.` })
}
