/** What a request says to a model, by who says it. */
import { isJson, type Json, listOf, type Message, messagesOf, type Protocol } from './chat.ts'

export const turnRoles = ['user', 'tool', 'system', 'assistant'] as const
export type TurnRole = (typeof turnRoles)[number]

interface Turn extends Message {
  readonly role: TurnRole
}

/**
 * The texts of those roles, the system's first. The system's are all there; of the others `last` means those behind the last
 * one of another role. Whoever has a role that there is not is a user: nobody gets past by another name.
 */
export function textsBy(
  body: Json,
  protocol: Protocol,
  roles: readonly TurnRole[],
  mode: 'last' | 'all',
): string[] {
  const turns = turnsOf(body, protocol)
  const systems = roles.includes('system') ? turns.filter(({ role }) => role === 'system') : []
  const isWanted = ({ role }: Turn) => role !== 'system' && roles.includes(role)
  const from = mode === 'all' || protocol === 'openai-embeddings' ? 0 : behindOthers(turns, isWanted)
  return [...systems, ...turns.slice(from).filter(isWanted)].map(({ content }) => content)
}

function behindOthers(turns: readonly Turn[], isWanted: (turn: Turn) => boolean): number {
  return turns.findLastIndex((turn) => !isWanted(turn)) + 1
}

function turnsOf(body: Json, protocol: Protocol): Turn[] {
  // A result of a tool has no role there.
  const messages =
    protocol === 'openai-responses' && Array.isArray(body.input)
      ? [
          ...messagesOf({ ...body, input: [] }, protocol),
          ...listOf(body.input).flatMap((item) => outputOf(item) ?? messagesOf({ input: [item] }, protocol)),
        ]
      : messagesOf(body, protocol)
  return messages.map(({ role, content }) => ({ role: roleOf(role), content }))
}

function outputOf(item: unknown): Message[] | undefined {
  if (!isJson(item) || item.type !== 'function_call_output' || item.role !== undefined) return undefined
  return messagesOf({ input: [item] }, 'openai-responses').map(({ content }) => ({ role: 'tool', content }))
}

function roleOf(role: string): TurnRole {
  if (role === 'developer') return 'system'
  return turnRoles.find((one) => one === role) ?? 'user'
}
