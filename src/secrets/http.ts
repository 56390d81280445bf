/** One request to a secret manager. Nothing is followed, nothing is kept open, and answers are bounded. */
import { SecretFailure } from './secret.ts'

export interface ManagerRequest {
  method: 'GET' | 'POST'
  url: URL
  headers: Record<string, string>
  body?: string
  /** PEM. Absent: those that Node.js trusts. */
  ca?: string
  /** Default: true. */
  verify?: boolean
}

export interface ManagerAnswer {
  status: number
  /** Undefined: it was no JSON. */
  json: unknown
}

const largestAnswer = 1024 * 1024

/** @throws SecretFailure when there is no complete answer */
export async function ask(request: ManagerRequest, signal: AbortSignal): Promise<ManagerAnswer> {
  // Loading it takes longer than most starts.
  const { Agent, request: send } = await import('undici')
  const { method, url, headers, body, ca, verify = true } = request
  const agent = new Agent({
    connect: { rejectUnauthorized: verify, ...(ca !== undefined && { ca }) },
    maxResponseSize: largestAnswer,
  })
  try {
    const answer = await send(url, {
      method,
      headers,
      signal,
      dispatcher: agent,
      ...(body !== undefined && { body }),
    })
    return { status: answer.statusCode, json: parsed(await answer.body.text()) }
  } catch (error) {
    throw new SecretFailure('unreachable', `its manager cannot be reached (${reasonOf(error)})`)
  } finally {
    await agent.destroy()
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A code such as ECONNREFUSED or UND_ERR_HEADERS_TIMEOUT; a message could quote what was sent. */
function reasonOf(error: unknown): string {
  const { name, code } = error as { name?: string; code?: unknown }
  if (name === 'TimeoutError') return 'it does not answer in time'
  return typeof code === 'string' ? code : (name ?? 'unknown error')
}

/** For an answer that is neither a secret nor its absence. */
export function refusal({ status }: ManagerAnswer): SecretFailure {
  const why =
    status === 401 || status === 403 ? ': what the gateway identifies itself with is not accepted' : ''
  return new SecretFailure('unavailable', `its manager answers ${status}${why}`)
}
