/** `gateway:` of all documents, and what APISIX's own file says -> settings. */
import { copy } from './copy.ts'
import type { Sections } from './documents.ts'
import { below, describePlace, type Place, type Report } from './report.ts'
import { checkSchema } from './schema.ts'
import { type GatewayInput, gatewaySchema, resolveSettings, type Settings } from './settings.ts'

/** `version` is the gateway's own. Undefined when something does not fit; the report says what. */
export function readSettings(sections: Sections, version: string, report: Report): Settings | undefined {
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
  for (const section of sections.apisix) {
    sound = fits(section.value, { document: section.document, path: [] }, report) && sound
    for (const [key, value] of Object.entries(section.value)) {
      if (places.has(key)) {
        report.add(section, {
          code: 'ignored-field',
          severity: 'info',
          message: `gateway.${key} is set, so what APISIX's own keys say about it has no effect`,
        })
        continue
      }
      places.set(key, section)
      merged[key] = copy(value)
    }
  }
  if (!sound) return undefined
  const problems = checkSchema(gatewaySchema, merged)
  if (problems.length > 0) throw new Error(`sound settings do not fit: ${problems[0]!.message}`)
  const settings = resolveSettings(merged as GatewayInput, version)
  checkPorts(settings, places, sections, report)
  return settings
}

function fits(value: unknown, place: Place, report: Report): boolean {
  const problems = checkSchema(gatewaySchema, copy(value))
  for (const { path, ...entry } of problems) report.add(below(place, ...path), entry)
  return problems.length === 0
}

interface Listening {
  what: string
  host: string
  port: number
  place: Place | undefined
}

function checkPorts(
  settings: Settings,
  places: ReadonlyMap<string, Place>,
  sections: Sections,
  report: Report,
): void {
  const all: Listening[] = settings.listeners.map((listener, index) => {
    const list = places.get('listeners')
    const written = list !== undefined && sections.gateways.some((section) => 'listeners' in section.value)
    return {
      what: `the listener ${listener.name}`,
      host: listener.host,
      port: listener.port,
      place: written ? below(list, index) : list,
    }
  })
  for (const what of ['control', 'metrics'] as const) {
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
    // Both from defaults cannot collide, so that one of them has a place.
    const place = one.place ?? other?.place
    if (other === undefined || place === undefined) return
    report.add(place, {
      code: 'duplicate-listener',
      message: `${one.what} and ${other.what} both take port ${one.port}`,
      hint: 'Give one of them another port.',
    })
  })
}

const isWildcard = (host: string) => host === '0.0.0.0' || host === '::' || host === '[::]'

const collide = (a: Listening, b: Listening) =>
  a.port === b.port && a.port !== 0 && (a.host === b.host || isWildcard(a.host) || isWildcard(b.host))
