/**
 * The answers of APISIX's Admin API before its version 3, which it still gives unless it is told `v3`: what was done
 * stands beside the resource, a list is the folder that holds it, and lists are neither chosen from nor cut into pages.
 */
import { type Answer, JsonText } from './answer.ts'
import type { Verb } from './kinds.ts'
import { folderOf, keyOf } from './lists.ts'
import type { Target } from './target.ts'

const actions: Readonly<Record<Verb, string>> = {
  get: 'get',
  put: 'set',
  post: 'create',
  patch: 'compareAndSwap',
  delete: 'delete',
}

/** Parameters of lists that came with version 3. */
const choices = ['name', 'label', 'uri', 'filter', 'page', 'page_size']

export function unchosenQuery(query: URLSearchParams): URLSearchParams {
  const left = new URLSearchParams(query)
  for (const name of choices) left.delete(name)
  return left
}

interface Kept {
  key: string
  value: unknown
}

export function v2Answer(verb: Verb, target: Target, answer: Answer): Answer {
  if (answer.status >= 300) return answer
  const body = (answer.body instanceof JsonText ? JSON.parse(answer.body.text) : answer.body) as object
  const action = actions[verb]
  if (verb === 'delete') return { ...answer, body: { action, ...body, node: {} } }
  if ('list' in body) {
    const node = { key: keyOf(folderOf(target)), dir: true, nodes: body.list }
    return { ...answer, body: { action, node } }
  }
  const { key, value } = body as Kept
  return { ...answer, body: { action, node: { key, value } } }
}
