/** Where the services of providers are, and which formats they take. */
import { encoded } from './aws-signature.ts'
import type { ServiceProtocol } from './conversion.ts'

/** What the address of a service may depend on. */
export interface Place {
  /** Google's project, and the region of Google or AWS. */
  readonly project_id?: string
  readonly region?: string
  /** Empty: nobody named one. */
  readonly model: string
  readonly isStream: boolean
}

type Path = string | ((place: Place) => string | undefined)

export interface Provider {
  /** Undefined: a configuration has to say it. */
  readonly host?: string | ((place: Place) => string | undefined)
  /** A path that depends on what is not known is undefined. */
  readonly paths: Readonly<Partial<Record<ServiceProtocol, Path>>>
  /** The field for the largest number of tokens in an answer to chat. */
  readonly most: 'max_tokens' | 'max_completion_tokens'
  /** The model is part of the address, not of the request. */
  readonly dropsModel?: boolean
  /** Requests are signed as AWS wants it. */
  readonly isAws?: boolean
}

const openaiPaths = {
  'openai-chat': '/v1/chat/completions',
  'openai-responses': '/v1/responses',
  'openai-embeddings': '/v1/embeddings',
}

const inProject = (version: string, path: (place: Place) => string) => (place: Place) =>
  place.project_id === undefined || place.region === undefined
    ? undefined
    : `/${version}/projects/${place.project_id}/locations/${place.region}/${path(place)}`

export const providers = {
  openai: { host: 'api.openai.com', paths: openaiPaths, most: 'max_completion_tokens' },
  deepseek: { host: 'api.deepseek.com', paths: { 'openai-chat': '/chat/completions' }, most: 'max_tokens' },
  aimlapi: { host: 'api.aimlapi.com', paths: { 'openai-chat': '/chat/completions' }, most: 'max_tokens' },
  anthropic: {
    host: 'api.anthropic.com',
    paths: { 'openai-chat': '/v1/chat/completions', 'anthropic-messages': '/v1/messages' },
    most: 'max_tokens',
  },
  'openai-compatible': { paths: openaiPaths, most: 'max_tokens' },
  'azure-openai': { paths: { 'openai-chat': '/completions' }, most: 'max_tokens', dropsModel: true },
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
  'vertex-ai': {
    host: ({ region }) => region && `${region}-aiplatform.googleapis.com`,
    paths: {
      'openai-chat': inProject('v1beta1', () => 'endpoints/openapi/chat/completions'),
      'vertex-predict': inProject('v1', ({ model }) => `publishers/google/models/${encoded(model)}:predict`),
    },
    most: 'max_completion_tokens',
  },
  bedrock: {
    host: ({ region }) => region && `bedrock-runtime.${region}.amazonaws.com`,
    paths: {
      'bedrock-converse': ({ model, isStream }) =>
        model === '' ? undefined : `/model/${encoded(model)}/converse${isStream ? '-stream' : ''}`,
    },
    most: 'max_tokens',
    dropsModel: true,
    isAws: true,
  },
} as const satisfies Record<string, Provider>

export type ProviderName = keyof typeof providers

export function providerOf(name: ProviderName): Provider {
  return providers[name]
}

export function filledIn(
  value: string | ((place: Place) => string | undefined) | undefined,
  place: Place,
): string | undefined {
  return typeof value === 'function' ? value(place) : value
}
