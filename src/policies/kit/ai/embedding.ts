/** Texts as vectors, by the service of a provider. */
import { type Static, Type } from '../../../config/type.ts'
import { type CallClient, jsonOf } from '../calls.ts'
import { closedInApisix } from '../fields.ts'
import type { PolicyHost } from '../host.ts'
import { isJson } from './chat.ts'
import { askService } from './service-call.ts'
import { endpoint, isEndpoint, simpleAuth } from './settings.ts'

export const embeddings = Type.Object(
  {
    provider: Type.Enum(['openai', 'azure-openai'], { description: 'Whose service it is.' }),
    model: Type.String({ minLength: 1, description: 'Model that makes vectors out of texts.' }),
    endpoint,
    auth: Type.Object(simpleAuth, {
      ...closedInApisix,
      description: 'What identifies the gateway to the service.',
    }),
    timeout: Type.Integer({ minimum: 1, default: 3000, description: 'Milliseconds for a request.' }),
    ssl_verify: Type.Boolean({ default: true, description: 'Check the certificate of the service.' }),
  },
  { 'x-apisix': { additionalProperties: undefined }, description: 'The service that makes vectors.' },
)
export type Embeddings = Static<typeof embeddings>

/** As one sentence; undefined: nothing is wrong. */
export function embeddingsFinding({ provider, endpoint: url }: Embeddings): string | undefined {
  if (!isEndpoint(url)) return 'invalid `semantic_opts.embeddings.endpoint`'
  if (provider !== 'azure-openai') return undefined
  if (url === undefined)
    return 'must configure `semantic_opts.embeddings.endpoint` when embeddings provider is azure-openai'
  return new URL(url).pathname === '/'
    ? '`semantic_opts.embeddings.endpoint` for azure-openai must include the full deployment path'
    : undefined
}

/** One vector of length 1 for each text. @throws Error when the service does not give them */
export async function vectorsOf(
  texts: readonly string[],
  { provider, model, endpoint: url, auth }: Embeddings,
  calls: CallClient,
  host: Pick<PolicyHost, 'now'>,
): Promise<Float64Array[]> {
  // Azure's addresses are whole ones, so that its formats do not matter here.
  const instance = {
    name: provider,
    provider: 'openai' as const,
    auth,
    ...(url !== undefined && { override: { endpoint: url, request_body_force_override: false } }),
  }
  const answer = await askService(calls, instance, 'openai-embeddings', { model, input: texts }, host)
  if (answer.status !== 200) throw new Error(`the service of embeddings answers ${answer.status}`)
  const body = jsonOf(answer)
  const vectors: Float64Array[] = []
  for (const [at, entry] of (isJson(body) && Array.isArray(body.data) ? body.data : []).entries()) {
    const { index = at, embedding } = isJson(entry) ? entry : {}
    if (!Number.isInteger(index) || (index as number) < 0 || (index as number) >= texts.length)
      throw new Error('the service of embeddings answers for texts that it was not asked for')
    vectors[index as number] = unitVector(embedding)
  }
  for (let at = 0; at < texts.length; at++)
    if (vectors[at] === undefined) throw new Error('the service of embeddings leaves texts out')
  return vectors
}

/** @throws Error */
function unitVector(value: unknown): Float64Array {
  if (!Array.isArray(value) || value.length === 0 || !value.every(Number.isFinite))
    throw new Error('the service of embeddings answers with something that is no vector')
  const vector = Float64Array.from(value as number[])
  const length = Math.hypot(...vector)
  return length === 0 ? vector : vector.map((part) => part / length)
}

/** The cosine of the angle between two vectors of length 1; NaN where they have not as many dimensions. */
export function similarity(a: Float64Array, b: Float64Array): number {
  if (a.length !== b.length) return Number.NaN
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}
