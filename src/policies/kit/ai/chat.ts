/** Requests to language models, in the formats that clients speak. */

export type Json = Record<string, unknown>

export type Protocol =
  | 'openai-chat'
  | 'openai-responses'
  | 'openai-embeddings'
  | 'anthropic-messages'
  | 'passthrough'

export interface Message {
  readonly role: string
  readonly content: string
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The format of a request; null: there is nothing in it. */
export function protocolOf(body: Json, path: string): Protocol | null {
  if (path.endsWith('/v1/messages')) return 'anthropic-messages'
  if (path.endsWith('/v1/responses') && body.input !== undefined) return 'openai-responses'
  if (Array.isArray(body.messages)) return 'openai-chat'
  if (body.input !== undefined) return 'openai-embeddings'
  return Object.keys(body).length > 0 ? 'passthrough' : null
}

/** What was said so far, as text; parts that are not text are left out. */
export function messagesOf(body: Json, protocol: Protocol): Message[] {
  switch (protocol) {
    case 'openai-chat':
      return listed(body.messages)
    case 'anthropic-messages':
      return [...said('system', body.system), ...listed(body.messages)]
    case 'openai-responses':
      return [...said('system', body.instructions), ...input(body.input)]
    default:
      return []
  }
}

/** Puts messages before and behind those of the request, in place. */
export function addMessages(
  body: Json,
  protocol: Protocol,
  before: readonly Message[],
  after: readonly Message[],
): void {
  if (protocol === 'anthropic-messages' || protocol === 'openai-responses') {
    // In these formats the system's part is a text beside the conversation.
    const field = protocol === 'anthropic-messages' ? 'system' : 'instructions'
    const list = protocol === 'anthropic-messages' ? 'messages' : 'input'
    addSystem(body, field, before, after)
    const others = (messages: readonly Message[]) => messages.filter(({ role }) => role !== 'system')
    const turns =
      typeof body[list] === 'string' ? [{ role: 'user', content: body[list] }] : listOf(body[list])
    body[list] = [...others(before), ...turns, ...others(after)]
  } else body.messages = [...before, ...listOf(body.messages), ...after]
}

function addSystem(body: Json, field: string, before: readonly Message[], after: readonly Message[]): void {
  const texts = (messages: readonly Message[]) =>
    messages.filter(({ role }) => role === 'system').map(({ content }) => content)
  const [first, last] = [texts(before), texts(after)]
  if (first.length + last.length === 0) return
  const own = body[field]
  if (Array.isArray(own)) {
    const blocks = (list: readonly string[]) => list.map((text) => ({ type: 'text', text }))
    body[field] = [...blocks(first), ...own, ...blocks(last)]
  } else body[field] = [...first, ...(typeof own === 'string' ? [own] : []), ...last].join('\n')
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function listed(value: unknown): Message[] {
  return listOf(value)
    .filter(isJson)
    .flatMap(({ role, content }) => said(typeof role === 'string' ? role : '', content))
}

function input(value: unknown): Message[] {
  return typeof value === 'string' ? [{ role: 'user', content: value }] : listed(value)
}

function said(role: string, content: unknown): Message[] {
  if (typeof content === 'string') return [{ role, content }]
  const texts = listOf(content)
    .filter(isJson)
    .flatMap(({ text }) => (typeof text === 'string' ? [text] : []))
  return texts.length === 0 ? [] : [{ role, content: texts.join(' ') }]
}
