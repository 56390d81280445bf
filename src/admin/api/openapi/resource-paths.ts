/** The paths of every kind of resource. */
import { type AdminKind, adminKinds, type Verb } from '../kinds.ts'
import { answer, failures, type Json, json, parameters, reference } from './parts.ts'

/** `GlobalRule` of `global rule`. */
export const typeName = ({ noun }: AdminKind) =>
  noun.replace(/(?:^|[ _])([a-z])/g, (_, letter: string) => letter.toUpperCase())

export function resourcePaths(): Json {
  const paths: Json = {}
  for (const kind of adminKinds.values()) {
    const base = basePath(kind)
    const item = `${base}/${itemSegment(kind)}`
    Object.assign(paths, {
      [base]: { ...parametersOf(base), ...operations(kind, base, ['get', 'post', 'put']) },
      [item]: { ...parametersOf(item), ...operations(kind, item, ['get', 'put', 'patch', 'delete']) },
    })
    if (kind.refused.includes('patch')) continue
    const below = `${item}/{path}`
    paths[below] = { ...parametersOf(below), ...operations(kind, below, ['patch']) }
  }
  return paths
}

const owned: Readonly<Record<string, string>> = {
  credentials: '/consumers/{username}/credentials',
  graphql_cost_decorations: '/services/{service_id}/graphql_cost_decorations',
}

const basePath = ({ name }: AdminKind) => owned[name] ?? `/${name}`

function itemSegment({ name, identity }: AdminKind): string {
  if (name === 'secrets') return '{manager}/{id}'
  return identity === 'id' ? '{id}' : identity === 'username' ? '{username}' : '{plugin}'
}

const parametersOf = (path: string): Json => {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!)
  return names.length === 0 ? {} : { parameters: parameters(...names) }
}

function operations(kind: AdminKind, path: string, verbs: readonly Verb[]): Json {
  const isItem = path.endsWith('}')
  const possible = verbs.filter((verb) => {
    if (kind.refused.includes(verb)) return false
    // What has no id in its path says itself who it is.
    return verb !== 'put' || isItem !== (kind.identity === 'username')
  })
  return Object.fromEntries(possible.map((verb) => [verb, operation(kind, verb, path)]))
}

function operation(kind: AdminKind, verb: Verb, path: string): Json {
  const type = typeName(kind)
  const isList = verb === 'get' && !path.endsWith('}')
  const isBelow = path.endsWith('/{path}')
  const name = isList ? `list${type}s` : `${verb}${type}${isBelow ? 'At' : ''}`
  const common = { operationId: name, tags: [kind.name] }
  switch (verb) {
    case 'get':
      return isList
        ? {
            ...common,
            summary: `Lists every ${kind.noun}, or those that are asked for.`,
            parameters: parameters('page', 'page_size', 'name', 'uri', 'label', 'filter'),
            responses: { 200: answer('The list.', listSchema(type)), ...failures },
          }
        : {
            ...common,
            summary: `Reads one ${kind.noun}.`,
            responses: { 200: answer('It.', envelope(type)), ...failures },
          }
    case 'delete':
      return {
        ...common,
        summary: `Deletes one ${kind.noun}.`,
        parameters: parameters('force'),
        responses: { 200: answer('It is gone.', deletedSchema), ...failures },
      }
    default:
      return {
        ...common,
        summary: summaries[verb](kind.noun, isBelow),
        parameters: parameters('ttl'),
        requestBody: bodyOf(verb, type, isBelow),
        responses: {
          200: answer('It was replaced.', envelope(type)),
          ...(verb !== 'patch' && { 201: answer('It is new.', envelope(type)) }),
          ...failures,
        },
      }
  }
}

const summaries: Readonly<Record<'put' | 'post' | 'patch', (noun: string, isBelow: boolean) => string>> = {
  put: (noun) => `Makes or replaces one ${noun}.`,
  post: (noun) => `Makes one ${noun}, with an id of the gateway's choice.`,
  patch: (noun, isBelow) =>
    isBelow
      ? `Replaces what one ${noun} has at a path.`
      : `Merges into one ${noun} (null takes a member away), or applies a JSON Patch to it.`,
}

function bodyOf(verb: Verb, type: string, isBelow: boolean): Json {
  const schema = verb !== 'patch' ? reference(type) : isBelow ? {} : { type: ['object', 'array'] }
  return { required: true, content: json(schema) }
}

const envelope = (type: string): Json => ({
  type: 'object',
  properties: {
    key: { type: 'string', description: 'Where it is kept: `/apisix/KIND/ID`.' },
    value: reference(type),
    createdIndex: { type: 'integer' },
    modifiedIndex: { type: 'integer' },
  },
  required: ['key', 'value'],
})

const listSchema = (type: string): Json => ({
  type: 'object',
  properties: { list: { type: 'array', items: envelope(type) }, total: { type: 'integer' } },
  required: ['list', 'total'],
})

const deletedSchema: Json = {
  type: 'object',
  properties: { key: { type: 'string' }, deleted: { const: '1' } },
  required: ['key', 'deleted'],
}
