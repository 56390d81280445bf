/**
 * A request in the format of Anthropic's messages as one for OpenAI's chat completions. What the one has and the other has
 * not (tools of Anthropic itself, thoughts of earlier turns, marks for caches) is left out.
 */
import { createHash } from 'node:crypto'
import { isJson, type Json, listOf, textOf } from './chat.ts'
import { ConversionProblem } from './problem.ts'

const builtIn = /^(?:computer_|bash_|text_editor_|web_search|code_execution_)/
/** Of a name that OpenAI takes: letters, digits, `_` and `-`. */
const longestName = 64
const digestLength = 8
/** The budgets from which on an effort is the next higher one. */
const efforts = [
  [4096, 'high'],
  [2048, 'medium'],
  [1024, 'low'],
] as const

/**
 * @param names is filled with tools that are named otherwise in what is sent: the name there, and the client's
 * @throws ConversionProblem
 */
export function chatFrom(body: Json, names: Map<string, string>): Json {
  const { messages, metadata } = body
  if (!Array.isArray(messages) || messages.length === 0) throw new ConversionProblem('missing messages')
  const chat: Json = {}
  if (typeof body.model === 'string') chat.model = body.model
  if (body.stream !== undefined && body.stream !== null) chat.stream = body.stream
  if (body.max_tokens) chat.max_completion_tokens = body.max_tokens
  for (const name of ['temperature', 'top_p'] as const)
    if (body[name] !== undefined && body[name] !== null) chat[name] = body[name]
  if (Array.isArray(body.stop_sequences)) chat.stop = body.stop_sequences
  const effort = effortOf(body.thinking, body.output_config)
  if (effort !== undefined) chat.reasoning_effort = effort
  const format = formatOf(body)
  if (format !== undefined) chat.response_format = format
  if (isJson(metadata) && typeof metadata.user_id === 'string') chat.user = metadata.user_id
  if (typeof body.service_tier === 'string') chat.service_tier = body.service_tier
  addTools(chat, body, names)
  chat.messages = [
    ...systemOf(body.system),
    ...messages.flatMap((message, index) => turnsOf(message, index, names)),
  ]
  return chat
}

function effortOf(thinking: unknown, config: unknown): unknown {
  if (!isJson(thinking)) return undefined
  if (thinking.type === 'adaptive') return (isJson(config) && textOf(config.effort)) || 'medium'
  if (thinking.type !== 'enabled') return undefined
  const budget = typeof thinking.budget_tokens === 'number' ? thinking.budget_tokens : 0
  return efforts.find(([least]) => budget >= least)?.[1] ?? 'minimal'
}

/** An answer that has to follow a schema. */
function formatOf({ output_format: own, output_config: config }: Json): Json | undefined {
  const format = isJson(own) && Object.keys(own).length > 0 ? own : isJson(config) ? config.format : undefined
  if (!isJson(format) || format.type !== 'json_schema' || !isJson(format.schema)) return undefined
  if (Object.keys(format.schema).length === 0) return undefined
  const schema = strict(format.schema)
  return { type: 'json_schema', json_schema: { name: 'structured_output', schema, strict: true } }
}

/** As OpenAI wants schemas that it holds to: no member beyond those that are named, and all of them needed. */
function strict(schema: unknown): unknown {
  if (!isJson(schema)) return schema
  const changed: Json = { ...schema }
  const each = (members: Json) =>
    Object.fromEntries(Object.entries(members).map(([name, member]) => [name, strict(member)]))
  if (schema.type === 'object' && isJson(schema.properties)) {
    changed.additionalProperties = false
    changed.properties = each(schema.properties)
    changed.required = Object.keys(schema.properties).sort()
  }
  if (schema.items !== undefined) changed.items = strict(schema.items)
  for (const name of ['anyOf', 'oneOf', 'allOf'])
    if (Array.isArray(schema[name])) changed[name] = schema[name].map(strict)
  for (const name of ['$defs', 'definitions']) if (isJson(schema[name])) changed[name] = each(schema[name])
  return changed
}

function addTools(chat: Json, { tools, tool_choice: choice }: Json, names: Map<string, string>): void {
  const declared = new Map<string, string>()
  const converted: Json[] = []
  for (const tool of listOf(tools)) {
    if (!isJson(tool) || (typeof tool.type === 'string' && builtIn.test(tool.type))) continue
    if (typeof tool.name !== 'string' || tool.name === '') continue
    const name = nameOf(tool.name, names)
    declared.set(tool.name, name)
    const { description, input_schema: parameters } = tool
    converted.push({ type: 'function', function: { name, description, parameters } })
  }
  // A choice among no tools is refused.
  if (converted.length === 0) return
  chat.tools = converted
  if (!isJson(choice)) return
  if (choice.type === 'auto' || choice.type === 'none') chat.tool_choice = choice.type
  else if (choice.type === 'any') chat.tool_choice = 'required'
  else if (choice.type === 'tool' && typeof choice.name === 'string')
    chat.tool_choice = {
      type: 'function',
      function: { name: declared.get(choice.name) ?? choice.name },
    }
  if (choice.disable_parallel_tool_use === true) chat.parallel_tool_calls = false
}

/** The same for the same name, so that what is said of a tool later still fits. */
function nameOf(name: string, names: Map<string, string>): string {
  const safe = name.replace(/[^a-zA-Z0-9_-]/gu, (character) => '_'.repeat(Buffer.byteLength(character)))
  if (safe === name && name.length <= longestName) return name
  const digest = createHash('sha256').update(name).digest('hex').slice(0, digestLength)
  const renamed = `${safe.slice(0, longestName - digestLength - 1)}_${digest}`
  names.set(renamed, name)
  return renamed
}

function systemOf(system: unknown): Json[] {
  const text =
    textOf(system) ??
    listOf(system)
      .filter(isJson)
      .map(({ type, text }) => (type === 'text' ? withoutBillingMark(textOf(text) ?? '') : ''))
      .join('')
  return text === '' ? [] : [{ role: 'system', content: text }]
}

/** A line about billing has a mark that is another for each request, which no cache of prompts gets over. */
function withoutBillingMark(text: string): string {
  const start = 'x-anthropic-billing-header:'
  if (!text.toLowerCase().startsWith(start)) return text
  const rest = text
    .slice(start.length)
    .replace(/ ?cch=[^;]*;?/g, '')
    .replace(/^[; ]+|[; ]+$/g, '')
  return rest === '' ? '' : start + rest
}

function turnsOf(message: unknown, index: number, names: Map<string, string>): Json[] {
  if (!isJson(message) || typeof message.role !== 'string')
    throw new ConversionProblem(`invalid message at index ${index + 1}`)
  const { role, content } = message
  if (typeof content === 'string') return [{ role, content }]
  if (!Array.isArray(content)) throw new ConversionProblem(`invalid message content at index ${index + 1}`)
  const calls: Json[] = []
  const results: Json[] = []
  const parts: Json[] = []
  for (const block of content) {
    if (!isJson(block)) continue
    const { id, name, tool_use_id: call } = block
    if (block.type === 'tool_use') {
      if (typeof id !== 'string' || typeof name !== 'string') continue
      const used = { name: nameOf(name, names), arguments: JSON.stringify(block.input ?? {}) }
      calls.push({ id, type: 'function', function: used })
    } else if (block.type === 'tool_result') {
      if (typeof call === 'string')
        results.push({ role: 'tool', tool_call_id: call, content: resultOf(block.content) })
    } else parts.push(...partOf(block))
  }
  // What tools said has to follow right behind the turn that called them.
  if (results.length > 0) return parts.length > 0 ? [...results, { role, content: parts }] : results
  if (calls.length > 0) {
    const text = joined(parts)
    return [{ role, tool_calls: calls, ...(text !== '' && { content: text }) }]
  }
  if (parts.length === 0) return [{ role, content: '' }]
  return [{ role, content: role === 'assistant' ? joined(parts) : parts }]
}

function resultOf(content: unknown): unknown {
  if (typeof content === 'string') return content
  const parts = listOf(content).filter(isJson).flatMap(partOf)
  return parts.some(({ type }) => type !== 'text') ? parts : joined(parts)
}

function joined(parts: readonly Json[]): string {
  return parts.map(({ text }) => textOf(text) ?? '').join('')
}

/** A text, a picture or a document; nothing: it is none. */
function partOf({ type, text, source }: Json): Json[] {
  if (type === 'text') return typeof text === 'string' ? [{ type, text }] : []
  if ((type !== 'image' && type !== 'document') || source === undefined || source === null) return []
  // A source of a wrong type is no picture that could be left out: somebody would get an answer to something else.
  if (!isJson(source)) throw new TypeError(`the source of a ${type} is no map`)
  const media = (url: string) => [{ type: 'image_url', image_url: { url } }]
  if (source.type === 'base64' && typeof source.data === 'string' && source.data !== '') {
    const kind = textOf(source.media_type) ?? (type === 'image' ? 'image/png' : 'application/pdf')
    return media(`data:${kind};base64,${source.data}`)
  }
  if (type === 'image' && source.type === 'url' && typeof source.url === 'string' && source.url !== '')
    return media(source.url)
  return []
}
