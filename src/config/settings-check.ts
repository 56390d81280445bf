/** `gateway:` of all documents, and what APISIX's own file says -> settings. */
import { readFileSync } from 'node:fs'
import { getCACertificates } from 'node:tls'
import { certificateOf } from './certificate.ts'
import { copy } from './copy.ts'
import { checkRegistries } from './discovery-check.ts'
import type { Sections } from './documents.ts'
import { checkListeners } from './listener-check.ts'
import { formatPath } from './problem.ts'
import { below, describePlace, type Place, type Report } from './report.ts'
import { checkSchema } from './schema.ts'
import {
  type AdminSettings,
  type GatewayInput,
  gatewaySchema,
  resolveSettings,
  type Settings,
} from './settings.ts'
import type { GivenSetting } from './single-settings.ts'

export interface SettingsSources {
  /** The gateway's own. */
  version: string
  adminKey: string | undefined
  /** From outside of the files, and stronger than they are. */
  given?: readonly GivenSetting[]
}

/** Undefined when something does not fit; the report says what. */
export function readSettings(
  sections: Sections,
  { version, adminKey, given = [] }: SettingsSources,
  report: Report,
): Settings | undefined {
  const merged: Record<string, unknown> = {}
  const places = new Map<string, Place>()
  let sound = true
  for (const section of sections.gateways) {
    sound = fits(section.value, section, report) && sound
    for (const [key, value] of Object.entries(section.value)) {
      const other = places.get(key)
      if (other !== undefined) {
        sound = false
        report.add(below(section, key), {
          code: 'duplicate-setting',
          at: 'key',
          message: `${key} is already set by ${describePlace(other)}`,
        })
      }
      places.set(key, below(section, key))
      merged[key] = copy(value)
    }
  }
  const apisix: Record<string, unknown> = {}
  for (const section of sections.apisix) {
    sound = fits(section.value, { document: section.document, path: [] }, report) && sound
    for (const key of Object.keys(section.value))
      if (!places.has(key)) places.set(key, key === 'discovery' ? below(section, key) : section)
    // A later file of APISIX's own kind is meant to change an earlier one.
    overlay(apisix, section.value, () => {})
  }
  const written = copy(merged)
  overlay(apisix, written, (path) => {
    report.add(sections.apisix[0]!, {
      code: 'ignored-field',
      severity: 'info',
      message: `gateway.${path} is set, so what APISIX's own keys say about it has no effect`,
    })
  })
  Object.assign(merged, apisix)
  sound = give(given, merged, places, report) && sound
  if (!sound) return undefined
  if (!fitsTogether(merged, given, report)) return undefined
  if (adminKey !== undefined) addAdminKey(merged, adminKey)
  const discovery = places.get('discovery')
  if (discovery !== undefined) checkRegistries((merged as GatewayInput).discovery ?? {}, discovery, report)
  const settings = resolveSettings(merged as GatewayInput, version)
  const upstreamTls = (merged as GatewayInput).upstream_tls
  // Who runs APISIX has upstreams with certificates that nobody looked at so far.
  if (upstreamTls?.verify === undefined) settings.upstream_tls.verify = sections.apisix.length === 0
  settings.upstream_tls.ca = readAuthorities(upstreamTls?.ca ?? [], places.get('upstream_tls'), report)
  checkAdmin(settings.admin, places.get('admin'), report)
  const placeOf = listenerPlaces(places, sections)
  checkListeners((merged as GatewayInput).listeners ?? [], placeOf, report)
  checkPorts(settings, places, placeOf, report)
  return settings
}

/** Puts single settings in place. @returns whether each fits its field */
function give(
  given: readonly GivenSetting[],
  merged: Record<string, unknown>,
  places: Map<string, Place>,
  report: Report,
): boolean {
  let sound = true
  for (const { name, path, value, schema } of given) {
    const [problem] = checkSchema(schema, copy(value))
    if (problem !== undefined) {
      sound = false
      const where = problem.path.length === 0 ? name : `${name}, at ${formatPath(problem.path)},`
      report.addUnplaced(undefined, {
        code: problem.code,
        message: `${where} ${problem.message}`,
        hint: problem.hint,
      })
      continue
    }
    report.addUnplaced(undefined, {
      code: 'used-setting',
      severity: 'info',
      message: `${name} sets gateway.${formatPath(path)}`,
    })
    setAt(merged, path, copy(value))
    places.delete(path[0]!)
  }
  return sound
}

function setAt(root: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let map = root
  for (const name of path.slice(0, -1)) {
    const inner = isMap(map[name]) ? { ...map[name] } : {}
    map[name] = inner
    map = inner
  }
  map[path.at(-1)!] = value
}

/** Every part fits. The whole may still lack what a single setting from outside calls for. */
function fitsTogether(
  merged: Record<string, unknown>,
  given: readonly GivenSetting[],
  report: Report,
): boolean {
  const problems = checkSchema(gatewaySchema, merged)
  if (problems.length > 0 && given.length === 0) {
    throw new Error(`sound settings do not fit: ${problems[0]!.message}`)
  }
  for (const { code, path, message } of problems) {
    const names = given.filter((one) => path.every((segment, depth) => one.path[depth] === segment))
    const by = names.length === 0 ? '' : ` (with ${names.map(({ name }) => name).join(', ')})`
    report.addUnplaced(undefined, { code, message: `gateway.${formatPath(path)}${by}: ${message}` })
  }
  return problems.length === 0
}

/** Lays `above` over `below`, in place: maps are merged, anything else is replaced, which is told. */
function overlay(
  below: Record<string, unknown>,
  above: Record<string, unknown>,
  replaced: (path: string) => void,
  path = '',
): void {
  for (const [key, value] of Object.entries(above)) {
    const other = below[key]
    if (isMap(other) && isMap(value)) overlay(other, value, replaced, `${path}${key}.`)
    else {
      if (other !== undefined) replaced(path + key)
      below[key] = copy(value)
    }
  }
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function fits(value: unknown, place: Place, report: Report): boolean {
  const problems = checkSchema(gatewaySchema, copy(value))
  for (const { path, ...entry } of problems) report.add(below(place, ...path), entry)
  return problems.length === 0
}

/** What the environment says stands beside what the files say. */
function addAdminKey(gateway: GatewayInput, key: string): void {
  const { admin = {} } = gateway
  gateway.admin = { ...admin, keys: [...(admin.keys ?? []), { name: 'environment', role: 'admin', key }] }
}

/** @returns certificates in PEM; files that hold none are findings */
function readAuthorities(files: readonly string[], place: Place | undefined, report: Report): string[] {
  return files.flatMap((file) => {
    if (file === 'system') return getCACertificates('system')
    try {
      const text = readFileSync(file, 'utf8')
      if (certificateOf(text) !== undefined) return [text]
      report.addUnplaced(place, {
        code: 'invalid-certificate',
        message: `upstream_tls.ca: ${file} holds no certificate in PEM`,
      })
    } catch (error) {
      report.addUnplaced(place, {
        code: 'file-unreadable',
        message: `upstream_tls.ca: ${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`,
      })
    }
    return []
  })
}

const shortestKey = 16
/** Keys that APISIX's documentation and earlier versions of its configuration name. */
const publishedKeys = new Set(['edd1c9f034335f136f87ad84b625c8f1', '4054f7cf07e344346cd3f287985e76a2'])

/** Of the keyring in APISIX's own configuration file. */
const publishedRing = new Set(['qeddd145sfvddff3', 'edd1c9f0985e76a2'])

function checkAdmin(admin: AdminSettings, place: Place | undefined, report: Report): void {
  const isLocal = admin.host === 'localhost' || admin.host === '::1' || admin.host.startsWith('127.')
  const seen = new Set<string>()
  admin.keys.forEach(({ name, key }, index) => {
    const fault = publishedKeys.has(key)
      ? 'it is published in the documentation of APISIX'
      : key.length < shortestKey
        ? `it has fewer than ${shortestKey} characters`
        : seen.has(key)
          ? 'another name has the same one'
          : undefined
    seen.add(key)
    if (fault === undefined) return
    report.addUnplaced(place, {
      code: 'unsafe-admin-key',
      message: `the key ${index + 1} of the Admin API (${name}) cannot be used: ${fault}`,
      hint: 'Make one with `openssl rand -hex 32`.',
    })
  })
  admin.keyring.forEach((key, index) => {
    if (!publishedRing.has(key)) return
    report.addUnplaced(place, {
      code: 'unsafe-admin-key',
      severity: 'warning',
      message: `the key ${index + 1} of the keyring of the Admin API protects nothing: it is published in the documentation of APISIX`,
      hint: 'Put one of your own in front; the others are needed as long as something is encrypted with them.',
    })
  })
  if (admin.key_required || !admin.enabled) return
  report.addUnplaced(place, {
    code: 'admin-without-key',
    severity: isLocal ? 'warning' : 'error',
    message: isLocal
      ? 'whoever can reach the Admin API on this machine may change everything: no key is required'
      : 'the Admin API cannot be open to other machines without a key',
    hint: 'Set key_required to true and give it a key.',
  })
}

interface Listening {
  what: string
  /** Absent: TCP. */
  transport?: 'udp'
  host: string
  port: number
  place: Place | undefined
}

/** Of listeners by their index. What APISIX's own keys say of them has one place altogether. */
function listenerPlaces(places: ReadonlyMap<string, Place>, sections: Sections) {
  const list = places.get('listeners')
  const written = sections.gateways.some((section) => 'listeners' in section.value)
  return (index: number) => (list !== undefined && written ? below(list, index) : list)
}

function checkPorts(
  settings: Settings,
  places: ReadonlyMap<string, Place>,
  placeOf: (index: number) => Place | undefined,
  report: Report,
): void {
  const all: Listening[] = settings.listeners.map((listener, index) => {
    return {
      what: `the listener ${listener.name}`,
      ...(listener.protocol === 'udp' && { transport: 'udp' as const }),
      host: listener.host,
      port: listener.port,
      place: placeOf(index),
    }
  })
  for (const what of ['control', 'metrics', 'status', 'probe', 'admin'] as const) {
    const { enabled, host, port } = settings[what]
    if (enabled) all.push({ what: `the ${what} endpoint`, host, port, place: places.get(what) })
  }
  const names = new Set<string>()
  settings.listeners.forEach(({ name }, index) => {
    if (names.has(name) && all[index]!.place !== undefined) {
      report.add(all[index]!.place, {
        code: 'duplicate-listener',
        message: `another listener has the same name, ${name}`,
      })
    }
    names.add(name)
  })
  all.forEach((one, index) => {
    const other = all.slice(0, index).find((before) => collide(before, one))
    if (other === undefined) return
    report.addUnplaced(one.place ?? other.place, {
      code: 'duplicate-listener',
      message: `${one.what} and ${other.what} both take port ${one.port}`,
      hint: 'Give one of them another port.',
    })
  })
}

const isWildcard = (host: string) => host === '0.0.0.0' || host === '::' || host === '[::]'

const collide = (a: Listening, b: Listening) =>
  a.transport === b.transport &&
  a.port === b.port &&
  a.port !== 0 &&
  (a.host === b.host || isWildcard(a.host) || isWildcard(b.host))
