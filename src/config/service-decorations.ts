/** What a service says of the costs of GraphQL queries: a list of its own, or items beside it in the list of services. */
import { copy } from './copy.ts'
import type { Declarations } from './declarations.ts'
import type { Item } from './documents.ts'
import { below, type Place, type Report } from './report.ts'
import { type CostDecorationInput, costDecorationSchema } from './resources.ts'
import { checkSchema } from './schema.ts'

/** Of an item with the id `SERVICE/graphql_cost_decorations/ID`. */
export function decorationPath({ id }: Record<string, unknown>): { service: string; id: string } | undefined {
  const match = typeof id === 'string' ? /^([^/]+)\/graphql_cost_decorations\/([^/]+)$/.exec(id) : null
  return match === null ? undefined : { service: match[1]!, id: match[2]! }
}

/** Each place once, and each id. */
export function checkDecorations({ value, ...place }: Item, report: Report): void {
  const list = value.graphql_cost_decorations
  if (!Array.isArray(list)) return
  const seen = { id: new Set<unknown>(), field_path: new Set<unknown>() }
  for (const [index, decoration] of list.entries()) {
    for (const field of ['id', 'field_path'] as const) {
      const said = (decoration as Partial<CostDecorationInput> | null)?.[field]
      if (said === undefined) continue
      if (seen[field].has(said))
        duplicate(below(place, 'graphql_cost_decorations', index), field, said, report)
      seen[field].add(said)
    }
  }
}

export function attachDecoration(
  serviceId: string,
  id: string,
  item: Item,
  { services }: Declarations,
  report: Report,
): void {
  const value = { ...copy(item.value), id } as Record<string, unknown>
  const { service_id: owner, ...own } = value
  if (owner !== undefined && String(owner) !== serviceId) {
    report.add(below(item, 'service_id'), {
      code: 'invalid-value',
      message: `is another service than that of its id, ${serviceId}`,
    })
  }
  const problems = checkSchema(costDecorationSchema, own)
  for (const { path, ...entry } of problems) report.add(below(item, ...path), entry)
  if (problems.length > 0) return
  const decoration = own as unknown as CostDecorationInput
  const service = services.get(serviceId)
  if (service === undefined) {
    report.add(below(item, 'id'), {
      code: 'dangling-reference',
      message: `there is no service ${serviceId}`,
    })
    return
  }
  if (service.input === undefined) return
  const others = service.input.graphql_cost_decorations ?? []
  for (const field of ['id', 'field_path'] as const) {
    if (others.some((other) => String(other[field]) === decoration[field]))
      duplicate(item, field, decoration[field], report)
  }
  service.input.graphql_cost_decorations = [...others, decoration]
}

function duplicate(place: Place, field: string, said: unknown, report: Report): void {
  report.add(below(place, field), {
    code: 'duplicate-id',
    message: `another decoration of this service has the same ${field}, ${said}`,
  })
}
