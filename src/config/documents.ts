/** Documents -> settings and lists of resources, each item still as it was written. */
import { settingsOfApisix } from './dialects/apisix.ts'
import { isFlexResource } from './dialects/flex/names.ts'
import { translateFlex } from './dialects/flex.ts'
import type { Environment } from './environment.ts'
import type { SourceDocument } from './load.ts'
import { nearest } from './nearest.ts'
import { type ResourceKind, resourceKinds } from './plan.ts'
import { below, type Place, type Report } from './report.ts'
import { type CertificateKind, certificateKinds, isCertificateKind } from './sni-resources.ts'

/** One item of a top-level list. */
export interface Item extends Place {
  value: Record<string, unknown>
  /** For items without an id, as APISIX names them: `arr_N`, counted over all files from 1. */
  fallbackId: string
}

export interface Sections {
  items: Record<ResourceKind, Item[]>
  /** Certificates as API7 has them; they become entries of `ssls`. */
  certificates: (Item & { kind: CertificateKind })[]
  /** Every `gateway:`. */
  gateways: (Place & { value: Record<string, unknown> })[]
  /** What APISIX's own configuration file says, as fields of `gateway:`; weaker than those. */
  apisix: (Place & { value: Record<string, unknown> })[]
}

export function readSections(
  documents: readonly SourceDocument[],
  report: Report,
  env?: Environment,
): Sections {
  const sections: Sections = {
    items: Object.fromEntries(resourceKinds.map((kind) => [kind, []])) as unknown as Sections['items'],
    certificates: [],
    gateways: [],
    apisix: [],
  }
  const isStrict = documents.every(({ value }) => !isLenient(value))
  const translated = translateFlex(documents.filter(isFlexResource), { env, isStrict }, report)
  for (const document of documents) if (!isFlexResource(document)) addSections(document, sections, report)
  if (translated !== undefined) addSections(translated, sections, report)
  return sections
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Whether a document says `gateway.flex.strict: false`. */
function isLenient(value: unknown): boolean {
  const { gateway } = isMap(value) ? value : {}
  const { flex } = isMap(gateway) ? gateway : {}
  return isMap(flex) && flex.strict === false
}

const isKind = (key: string): key is ResourceKind => (resourceKinds as readonly string[]).includes(key)

/** Top-level keys of APISIX's `config.yaml`; `plugins` also stands in `apisix.yaml`. */
const apisixKeys = new Set([
  'apisix',
  'deployment',
  'nginx_config',
  'plugin_attr',
  'plugins',
  'stream_plugins',
  'discovery',
  'ext-plugin',
  'wasm',
  'xrpc',
  'graphql',
  'etcd',
])

export function addSections(document: SourceDocument, sections: Sections, report: Report): void {
  const root: Place = { document, path: [] }
  const { value } = document
  if (!isMap(value)) {
    report.add(root, {
      code: 'wrong-type',
      message: 'a document must be a map of lists of resources, and of `gateway`',
    })
    return
  }
  if (typeof value.apiVersion === 'string') {
    report.add(below(root, 'apiVersion'), {
      code: 'unsupported-dialect',
      message: 'resources with this apiVersion are not read',
      hint: 'Write it as services, routes and upstreams, or leave the document out. Resources of Flex Gateway begin with apiVersion: gateway.mulesoft.com/v1alpha1.',
    })
    return
  }
  const apisix: Record<string, unknown> = {}
  for (const [key, section] of Object.entries(value)) {
    const place = below(root, key)
    if (key === 'gateway') {
      if (isMap(section)) sections.gateways.push({ ...place, value: section })
      else if (section !== null) report.add(place, { code: 'wrong-type', message: 'must be a map' })
    } else if (key === 'secret_providers') readList(place, section, sections.items.secrets, report)
    else if (isKind(key)) readList(place, section, sections.items[key], report)
    else if (isCertificateKind(key)) {
      const items: Item[] = []
      readList(place, section, items, report)
      for (const item of items) sections.certificates.push({ ...item, kind: key })
    } else if (apisixKeys.has(key)) apisix[key] = section
    else unknownSection(place, key, report)
  }
  if (Object.keys(apisix).length > 0) {
    const settings = settingsOfApisix(root, apisix, report)
    if (Object.keys(settings).length > 0) sections.apisix.push({ ...root, value: settings })
  }
}

function readList(place: Place, list: unknown, items: Item[], report: Report): void {
  if (list === null) return
  if (!Array.isArray(list)) {
    report.add(place, { code: 'wrong-type', message: 'must be a list' })
    return
  }
  list.forEach((value: unknown, index) => {
    const itemPlace = below(place, index)
    if (!isMap(value)) report.add(itemPlace, { code: 'wrong-type', message: 'must be a map' })
    else items.push({ ...itemPlace, value, fallbackId: `arr_${items.length + 1}` })
  })
}

function unknownSection(place: Place, key: string, report: Report): void {
  if (key.endsWith('_conf_version')) {
    report.add(place, {
      code: 'ignored-field',
      severity: 'info',
      at: 'key',
      message: 'versions of sections have no effect in files: what changed is found by comparing',
    })
  } else {
    const near = nearest(key, ['gateway', ...resourceKinds, ...certificateKinds])
    report.add(place, {
      code: 'unknown-field',
      at: 'key',
      message: `there is no section ${key}`,
      hint: near === undefined ? `Known: gateway, ${resourceKinds.join(', ')}.` : `Did you mean ${near}?`,
    })
  }
}
