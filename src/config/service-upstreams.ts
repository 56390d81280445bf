/**
 * Further upstreams of a service, as in API7: named ones beside its own, for canaries. They are upstreams like those that
 * stand at the top level, and are referred to by their ids.
 */
import type { Item } from './documents.ts'
import { below, type Report } from './report.ts'

/** @returns the service without them, and each as an item of its own */
export function takeFurtherUpstreams(
  service: Item,
  serviceId: string,
  report: Report,
): { service: Item; upstreams: Item[] } {
  const { upstreams: list, ...value } = service.value
  if (list === undefined) return { service, upstreams: [] }
  const place = below(service, 'upstreams')
  if (!Array.isArray(list)) {
    report.add(place, { code: 'wrong-type', message: 'must be a list' })
    return { service: { ...service, value }, upstreams: [] }
  }
  if (list.length > 0 && value.upstream === undefined && value.upstream_id === undefined) {
    report.add(place, {
      code: 'missing-field',
      at: 'key',
      message: 'a service with further upstreams needs one of its own: upstream or upstream_id',
      hint: 'It serves the requests for which none of the others is chosen.',
    })
  }
  const upstreams: Item[] = []
  list.forEach((upstream: unknown, index) => {
    const own = below(place, index)
    if (typeof upstream !== 'object' || upstream === null || Array.isArray(upstream)) {
      report.add(own, { code: 'wrong-type', message: 'must be a map' })
      return
    }
    const { id, name } = upstream as { id?: unknown; name?: unknown }
    if (name === undefined) {
      report.add(own, { code: 'missing-field', message: 'the field name is required here' })
      return
    }
    const fallbackId = `${serviceId}.${String(name)}`
    upstreams.push({ ...own, value: { ...upstream, id: id ?? fallbackId }, fallbackId })
  })
  return { service: { ...service, value }, upstreams }
}
