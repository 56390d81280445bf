/** Where the services of providers are, and which formats they take. */
import type { Protocol } from './chat.ts'

export interface Provider {
  /** Empty: a configuration has to say it. */
  readonly host: string
  readonly paths: Readonly<Partial<Record<Protocol, string>>>
  /** The field for the largest number of tokens in an answer to chat. */
  readonly most: 'max_tokens' | 'max_completion_tokens'
  /** The model is part of the address, not of the request. */
  readonly dropsModel?: boolean
}

const openaiPaths = {
  'openai-chat': '/v1/chat/completions',
  'openai-responses': '/v1/responses',
  'openai-embeddings': '/v1/embeddings',
}

export const providers = {
  openai: { host: 'api.openai.com', paths: openaiPaths, most: 'max_completion_tokens' },
  deepseek: { host: 'api.deepseek.com', paths: { 'openai-chat': '/chat/completions' }, most: 'max_tokens' },
  aimlapi: { host: 'api.aimlapi.com', paths: { 'openai-chat': '/chat/completions' }, most: 'max_tokens' },
  anthropic: {
    host: 'api.anthropic.com',
    paths: { 'openai-chat': '/v1/chat/completions', 'anthropic-messages': '/v1/messages' },
    most: 'max_tokens',
  },
  'openai-compatible': { host: '', paths: openaiPaths, most: 'max_tokens' },
  'azure-openai': {
    host: '',
    paths: { 'openai-chat': '/completions' },
    most: 'max_completion_tokens',
    dropsModel: true,
  },
  openrouter: {
    host: 'openrouter.ai',
    paths: { 'openai-chat': '/api/v1/chat/completions' },
    most: 'max_tokens',
  },
  gemini: {
    host: 'generativelanguage.googleapis.com',
    paths: { 'openai-chat': '/v1beta/openai/chat/completions' },
    most: 'max_completion_tokens',
  },
} as const satisfies Record<string, Provider>

export type ProviderName = keyof typeof providers
