/** What the store holds, as a document that is checked like the files. */
import type { SourceDocument } from '../../config/load.ts'
import { isCertificateKind } from '../../config/sni-resources.ts'
import { adminKinds } from './kinds.ts'
import type { Store } from './store.ts'

/** Of the kinds that are in force. Credentials stand beside consumers, as in APISIX's files, and decorations beside services. */
export function storedDocument(store: Store): SourceDocument {
  const value: Record<string, Record<string, unknown>[]> = {}
  for (const { kind, id, value: text } of store.all()) {
    const username = /^consumers\/([^/]+)\/credentials$/.exec(kind)?.[1]
    const ofService = /^services\/[^/]+\/upstreams$/.test(kind)
    const decorated = /^services\/([^/]+)\/graphql_cost_decorations$/.exec(kind)?.[1]
    const section =
      username !== undefined
        ? 'consumers'
        : decorated !== undefined
          ? 'services'
          : ofService
            ? 'upstreams'
            : isCertificateKind(kind)
              ? kind
              : adminKinds.get(kind)?.plan
    if (section === undefined) continue
    const resource = JSON.parse(text) as Record<string, unknown>
    if (username !== undefined) resource.id = `${username}/credentials/${id}`
    if (decorated !== undefined) resource.id = `${decorated}/graphql_cost_decorations/${id}`
    value[section] ??= []
    value[section].push(resource)
  }
  return { file: 'the Admin API', value, locate: (wanted) => wanted.map(() => undefined) }
}
