/** Flex Gateway's local mode: its resources become services, routes, upstreams and settings of the gateway. */
import type { SourceDocument } from '../load.ts'
import { below, type Place, type Report } from '../report.ts'
import { instanceAddress } from './flex/addresses.ts'
import { translateApis } from './flex/apis.ts'
import { translateContracts } from './flex/contracts.ts'
import { type FlexModel, readModel } from './flex/model.ts'
import { Translation } from './flex/translation.ts'

/** What they come to, all together; undefined: nothing. */
export function translateFlex(
  documents: readonly SourceDocument[],
  report: Report,
): SourceDocument | undefined {
  if (documents.length === 0) return undefined
  const model = readModel(documents, report)
  const translation = new Translation()
  translateApis(model, translation, report)
  translateContracts(model, translation, report)
  translateListeners(model, translation, report)
  translateConfigurations(model, translation, report)
  return translation.document(documents[0]!.file)
}

/** One listener for each port. */
function translateListeners({ instances }: FlexModel, translation: Translation, report: Report): void {
  const listeners = new Map<number, { name: string; host: string; port: number }>()
  let first: Place | undefined
  for (const { spec, place } of instances) {
    const addressPlace = below(place, 'address')
    // What is wrong with it was told already.
    const address = instanceAddress(spec.address, addressPlace, silent)
    if (address === undefined || address.isSecure) continue
    const { host, port } = address
    first ??= addressPlace
    const other = listeners.get(port)
    if (other === undefined) listeners.set(port, { name: `port-${port}`, host, port })
    else if (other.host !== host) {
      report.add(addressPlace, {
        code: 'duplicate-listener',
        message: `another API instance listens on port ${port} of ${other.host}`,
        hint: 'Give both the same host.',
      })
    }
  }
  if (first !== undefined) translation.set('listeners', [...listeners.values()], first)
}

const silent = { add: () => {} } as unknown as Report

const logLevels: Readonly<Record<string, string>> = { fatal: 'error' }

function translateConfigurations(
  { configurations }: FlexModel,
  translation: Translation,
  report: Report,
): void {
  for (const { spec, place } of configurations) {
    const { logging, ...others } = spec as FlexConfigurationSpec
    for (const key of Object.keys(others)) {
      report.add(below(place, key), {
        code: 'ignored-field',
        severity: key === 'platformConnection' ? 'info' : 'warning',
        at: 'key',
        message: 'has no effect in this version',
      })
    }
    const level = logging?.runtimeLogs?.logLevel
    if (level !== undefined) {
      const levelPlace = below(place, 'logging', 'runtimeLogs', 'logLevel')
      translation.set('log', { level: logLevels[level] ?? level }, levelPlace)
    }
  }
}

interface FlexConfigurationSpec {
  logging?: { runtimeLogs?: { logLevel?: string } }
}
