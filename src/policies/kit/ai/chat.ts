/** Requests to language models, in the formats that clients speak. */

export type Json = Record<string, unknown>

/** Formats that a request can have. */
export const protocols = [
  'anthropic-messages',
  'bedrock-converse',
  'openai-chat',
  'openai-embeddings',
  'openai-responses',
  'passthrough',
] as const
export type Protocol = (typeof protocols)[number]

export interface Message {
  readonly role: string
  readonly content: string
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

/** The value as JSON; undefined: it is none. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The format of a request; null: there is nothing in it. */
export function protocolOf(body: Json, path: string): Protocol | null {
  if (path.endsWith('/converse') && isConversation(body.messages)) return 'bedrock-converse'
  if (path.endsWith('/v1/messages')) return 'anthropic-messages'
  if (path.endsWith('/v1/responses') && isThere(body.input)) return 'openai-responses'
  if (isConversation(body.messages)) return 'openai-chat'
  if (isThere(body.input)) return 'openai-embeddings'
  return Object.keys(body).length > 0 ? 'passthrough' : null
}

function isThere(value: unknown): boolean {
  return value !== undefined && value !== null
}

/** As APISIX has it, where lists and maps are one. */
function isConversation(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

/** Whether the answer is to come as a stream. */
export function isStreaming(body: Json, protocol: Protocol): boolean {
  return body.stream === true && protocol !== 'openai-embeddings'
}

/** Whom the client says that it asks for. */
export function endUserOf(body: Json, protocol: Protocol): string | undefined {
  const { metadata, safety_identifier: identifier, user } = body
  if (protocol === 'anthropic-messages') return textOf(isJson(metadata) ? metadata.user_id : undefined)
  if (protocol === 'openai-chat' || protocol === 'openai-responses') return textOf(identifier) ?? textOf(user)
  return undefined
}

/** What was said so far, as text; parts that are not text are left out. */
export function messagesOf(body: Json, protocol: Protocol): Message[] {
  switch (protocol) {
    case 'openai-chat':
      return listed(body.messages)
    case 'anthropic-messages':
    case 'bedrock-converse':
      return [...said('system', body.system), ...listed(body.messages)]
    case 'openai-responses':
      return [...said('system', body.instructions), ...input(body.input)]
    case 'openai-embeddings':
      return input(body.input)
    default:
      return []
  }
}

/** What was said so far, as the client wrote it. */
export function conversationOf(body: Json, protocol: Protocol): unknown {
  if (protocol === 'passthrough') return undefined
  return protocol === 'openai-responses' || protocol === 'openai-embeddings' ? body.input : body.messages
}

/** Puts messages before and behind those of the request, in place. */
export function addMessages(
  body: Json,
  protocol: Protocol,
  before: readonly Message[],
  after: readonly Message[],
): void {
  switch (protocol) {
    case 'anthropic-messages': {
      addSystem(body, before, after, (text) => ({ type: 'text', text }))
      body.messages = [...turns(before), ...listOf(body.messages), ...turns(after)]
      return
    }
    case 'bedrock-converse': {
      addSystem(body, before, after, (text) => ({ text }))
      const inBlocks = (messages: readonly Message[]) =>
        turns(messages).map(({ role, content }) => ({ role, content: [{ text: content }] }))
      body.messages = [...inBlocks(before), ...listOf(body.messages), ...inBlocks(after)]
      return
    }
    case 'openai-responses':
      addInput(body, textsOf(before), textsOf(after))
      return
    case 'openai-chat':
      body.messages = [...before, ...listOf(body.messages), ...after]
  }
}

/** What the operator lets the system say stands beside the conversation, as a text or in blocks. */
function addSystem(
  body: Json,
  before: readonly Message[],
  after: readonly Message[],
  block: (text: string) => Json,
): void {
  const texts = (messages: readonly Message[]) =>
    messages.filter(({ role }) => role === 'system').map(({ content }) => content)
  const [first, last] = [texts(before), texts(after)]
  if (first.length + last.length === 0) return
  const own = body.system
  // Bedrock knows blocks alone.
  body.system =
    Array.isArray(own) || !('type' in block(''))
      ? [...first.map(block), ...listOf(own), ...last.map(block)]
      : [...first, ...(typeof own === 'string' ? [own] : []), ...last].join('\n')
}

/** As APISIX has it: what comes before becomes part of the instructions, whoever says it, and what comes after one more input. */
function addInput(body: Json, before: string, after: string): void {
  if (before !== '') {
    const own = body.instructions
    body.instructions = typeof own === 'string' ? `${before}\n${own}` : before
  }
  if (after === '') return
  if (Array.isArray(body.input))
    body.input = [...body.input, { type: 'message', role: 'user', content: after }]
  else body.input = typeof body.input === 'string' ? `${body.input}\n${after}` : after
}

function textsOf(messages: readonly Message[]): string {
  return messages.map(({ content }) => content).join('\n')
}

function turns(messages: readonly Message[]): Message[] {
  return messages.filter(({ role }) => role !== 'system')
}

/** A request that asks for one answer to one text. */
export function requestFor(protocol: Protocol, instructions: string, text: string): Json {
  switch (protocol) {
    case 'bedrock-converse':
      return { system: [{ text: instructions }], messages: [{ role: 'user', content: [{ text }] }] }
    default:
      return {
        messages: [
          { role: 'system', content: instructions },
          { role: 'user', content: text },
        ],
        stream: false,
      }
  }
}

function listed(value: unknown): Message[] {
  return listOf(value)
    .filter(isJson)
    .flatMap(({ role, content }) => said(textOf(role) ?? '', content))
}

function input(value: unknown): Message[] {
  if (typeof value === 'string') return [{ role: 'user', content: value }]
  return listOf(value).flatMap((item) => {
    if (typeof item === 'string') return said('user', item)
    if (!isJson(item)) return []
    const { role, content, text, output } = item
    return said(textOf(role) ?? 'user', content ?? text ?? output)
  })
}

function said(role: string, content: unknown): Message[] {
  if (typeof content === 'string') return [{ role, content }]
  const texts = listOf(content)
    .filter(isJson)
    .flatMap(({ text }) => (typeof text === 'string' ? [text] : []))
  return texts.length === 0 ? [] : [{ role, content: texts.join(' ') }]
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
