/** What is sent to the service of a provider, out of what a client or a policy asks. */
import type { RequestHeaders, Verdict } from '../../../proxy/exchange.ts'
import { headerName } from '../../../proxy/headers.ts'
import { awsSignature } from './aws-signature.ts'
import { isJson, isStreaming, type Json, type Protocol, textOf } from './chat.ts'
import { type Conversion, conversionOf, type ServiceProtocol, targetOf } from './conversion.ts'
import { ConversionProblem } from './problem.ts'
import { filledIn, type Place, type Provider, providerOf } from './providers.ts'
import type { Instance } from './settings.ts'

/** Fields of the client that are not for the service. */
const notForwarded = new Set(['host', 'content-length', 'accept-encoding', 'content-type', 'expect'])
/** Maps in a patch that are looked into. */
const deepestPatch = 64

export interface Asked {
  readonly body: Json
  readonly protocol: Protocol
  /** The body as it came, one character a byte, for services that get it unchanged; undefined: there is no such thing. */
  readonly raw?: string
  /** What goes along of the client; undefined: nothing of it. */
  readonly client?: {
    readonly headers: RequestHeaders
    readonly method: string
    readonly path: string
    readonly query: string
  }
}

export interface ModelRequest {
  readonly method: string
  readonly url: URL
  readonly headers: Record<string, string>
  readonly body: string | Buffer
  readonly target: ServiceProtocol
  readonly conversion: Conversion | null
  /** The body as JSON. */
  readonly sent: Json
  /** Empty: nobody named one. */
  readonly model: string
}

/**
 * @param token of a Google account, where the instance has one
 * @param now epoch milliseconds
 * @returns what to send, or why it cannot be sent
 * @throws Error when a conversion stumbles over what a client sent
 */
export function modelRequest(
  asked: Asked,
  instance: Instance,
  token: string | undefined,
  now: number,
): ModelRequest | { refusal: Verdict } {
  const provider = providerOf(instance.provider)
  const taken = Object.keys(provider.paths) as ServiceProtocol[]
  const target = targetOf(asked.protocol, taken)
  if (target === undefined) {
    const supported = taken.join(', ')
    const body = `provider ${instance.provider} does not support ${asked.protocol} protocol (supported: ${supported})`
    return { refusal: { status: 400, body } }
  }
  const model = textOf(instance.options?.model) ?? textOf(asked.body.model) ?? ''
  const place: Place = {
    ...instance.provider_conf,
    model,
    isStream: isStreaming(asked.body, asked.protocol),
  }
  const conversion = conversionOf(asked.protocol, target, model)
  let converted: Json
  try {
    converted = conversion?.request(asked.body) ?? asked.body
  } catch (error) {
    if (error instanceof ConversionProblem) return refused(error.message)
    throw error
  }
  const sent = shaped(converted, instance, target)
  const url = urlOf(asked, instance, target, place)
  if (url === undefined)
    return refused(
      'could not resolve upstream path: ensure the route or request body specifies a model, or that override.endpoint ' +
        'includes a path',
    )
  const isUnchanged = sent === asked.body && asked.raw !== undefined
  const body = isUnchanged ? Buffer.from(asked.raw!, 'latin1') : JSON.stringify(sent)
  const method = target === 'passthrough' ? (asked.client?.method ?? 'POST') : 'POST'
  const headers = fieldsOf(asked.client?.headers, instance.auth.header)
  if (token !== undefined) headers.authorization = token
  conversion?.fields?.(headers)
  const { aws } = instance.auth
  const region = instance.provider_conf?.region
  if (provider.isAws === true && aws !== undefined && region !== undefined)
    Object.assign(headers, awsSignature({ method, url, body }, aws, region, 'bedrock', now))
  return { method, url, headers, body, target, conversion, sent, model }
}

function refused(message: string): { refusal: Verdict } {
  return { refusal: { status: 400, body: { error_msg: message } } }
}

function urlOf(
  { client }: Asked,
  instance: Instance,
  target: ServiceProtocol,
  place: Place,
): URL | undefined {
  const { host, paths }: Provider = providerOf(instance.provider)
  const given = instance.override?.endpoint
  // An address that ends with its host leaves the path to the provider.
  const isOpen = given === undefined || /^https?:\/\/[^/?]+$/.test(given)
  const own = target === 'passthrough' ? client?.path : filledIn(paths[target], place)
  if (isOpen && own === undefined) return undefined
  const origin = filledIn(host, place)
  if (given === undefined && origin === undefined) return undefined
  const url = new URL(isOpen ? (given ?? `https://${origin}`) + own : given)
  if (target === 'passthrough' && client !== undefined)
    for (const [name, value] of new URLSearchParams(client.query)) url.searchParams.set(name, value)
  for (const [name, value] of Object.entries(instance.auth.query ?? {})) url.searchParams.set(name, value)
  return url
}

/** Where the service of an instance is, as far as that does not depend on the request; undefined: nobody says. */
export function serviceOrigin({ provider, provider_conf: conf, override }: Instance): URL | undefined {
  const host = filledIn(providerOf(provider).host, { ...conf, model: '', isStream: false })
  const given = override?.endpoint ?? (host === undefined ? '' : `https://${host}`)
  return URL.canParse(given) ? new URL(given) : undefined
}

/** The client's fields, with those of the gateway in place of them. */
function fieldsOf(
  client: RequestHeaders | undefined,
  own: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const fields: Record<string, string> = {}
  client?.forEach((name, value) => {
    const lower = name.toLowerCase()
    if (!notForwarded.has(lower) && !headerName(lower).isReserved)
      fields[lower] = fields[lower] === undefined ? value : `${fields[lower]}, ${value}`
  })
  for (const [name, value] of Object.entries(own)) {
    const lower = name.toLowerCase()
    if (!notForwarded.has(lower)) fields[lower] = value
  }
  fields['content-type'] = 'application/json'
  return fields
}

/** The body as the service wants it; the same one when there is nothing to change. */
function shaped(body: Json, { options, override, provider }: Instance, target: ServiceProtocol): Json {
  const { most, dropsModel } = providerOf(provider)
  let sent = body
  const change = (changes: Json) => {
    sent = { ...sent, ...changes }
  }
  const drop = (name: string) => {
    const { [name]: _, ...rest } = sent
    sent = rest
  }
  if (target === 'openai-chat' && sent.stream) change({ stream_options: { include_usage: true } })
  if (target === 'bedrock-converse' && Object.hasOwn(sent, 'stream')) drop('stream')
  if (options !== undefined && Object.keys(options).length > 0) change(options)
  const tokens = override?.llm_options?.max_tokens
  if (tokens !== undefined) {
    if (target === 'openai-chat') {
      if (provider === 'openai') drop('max_tokens')
      change({ [most]: tokens })
    } else if (target === 'anthropic-messages') change({ max_tokens: tokens })
    else if (target === 'openai-responses') change({ max_output_tokens: tokens })
    else if (target === 'bedrock-converse') {
      const config = isJson(sent.inferenceConfig) ? sent.inferenceConfig : {}
      change({ inferenceConfig: { ...config, maxTokens: tokens } })
    }
  }
  const patch = target === 'vertex-predict' ? undefined : override?.request_body?.[target]
  if (patch !== undefined) sent = patched(sent, patch as Json, override?.request_body_force_override === true)
  if (dropsModel && Object.hasOwn(sent, 'model')) drop('model')
  return sent
}

/** Maps are merged, everything else of the patch fills what is not there, or with force takes its place. */
function patched(value: Json, patch: Json, force: boolean, depth = 0): Json {
  const merged: Json = { ...value }
  for (const [name, member] of Object.entries(patch)) {
    const own = Object.hasOwn(merged, name) ? merged[name] : undefined
    const isAbsent = own === undefined || own === null
    const next =
      isJson(own) && isJson(member) && depth < deepestPatch
        ? patched(own, member, force, depth + 1)
        : isAbsent || force
          ? member
          : own
    Object.defineProperty(merged, name, { value: next, enumerable: true, writable: true, configurable: true })
  }
  return merged
}
