/** What the store holds, as a document that is checked like the files. */
import type { SourceDocument } from '../../config/load.ts'
import { isCertificateKind } from '../../config/sni-resources.ts'
import { adminKinds } from './kinds.ts'
import type { Store } from './store.ts'

/** One resource of a kind that is in force. */
export interface SectionMember {
  /** Of a file. */
  section: string
  /** JSON, as it was written. */
  text: string
  /** In a file; absent: the one that stands in the text. */
  id?: string
}

/** Credentials stand beside consumers, as in APISIX's files, and decorations beside services. */
export function* sectionMembers(store: Store): Iterable<SectionMember> {
  for (const { kind, id, value: text } of store.all()) {
    const [owners, owner, part] = kind.split('/')
    if (part === undefined) {
      const section = isCertificateKind(kind) ? kind : adminKinds.get(kind)?.plan
      if (section !== undefined) yield { section, text }
    } else if (owners === 'consumers' && part === 'credentials') {
      yield { section: 'consumers', text, id: `${owner}/credentials/${id}` }
    } else if (owners === 'services' && part === 'upstreams') {
      yield { section: 'upstreams', text }
    } else if (owners === 'services' && part === 'graphql_cost_decorations') {
      yield { section: 'services', text, id: `${owner}/graphql_cost_decorations/${id}` }
    }
  }
}

export function storedDocument(store: Store): SourceDocument {
  const value: Record<string, Record<string, unknown>[]> = {}
  for (const { section, text, id } of sectionMembers(store)) {
    const resource = JSON.parse(text) as Record<string, unknown>
    if (id !== undefined) resource.id = id
    value[section] ??= []
    value[section].push(resource)
  }
  return { file: 'the Admin API', value, locate: (wanted) => wanted.map(() => undefined) }
}

/** The same value as JSON. What is stored is not taken apart for it: of thousands of resources that leaves much behind. */
export function storedJson(store: Store): string {
  const sections = new Map<string, string[]>()
  for (const { section, text, id } of sectionMembers(store)) {
    const texts = sections.get(section)
    const member = id === undefined ? text : JSON.stringify({ ...(JSON.parse(text) as object), id })
    if (texts === undefined) sections.set(section, [member])
    else texts.push(member)
  }
  const parts = [...sections].map(([section, texts]) => `${JSON.stringify(section)}:[${texts.join(',')}]`)
  return `{${parts.join(',')}}`
}
