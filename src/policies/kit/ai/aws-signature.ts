/** Signs requests to AWS (Signature Version 4). */
import { createHash, createHmac } from 'node:crypto'

export interface AwsCredentials {
  readonly access_key_id: string
  readonly secret_access_key: string
  readonly session_token?: string
}

export interface AwsRequest {
  readonly method: string
  readonly url: URL
  readonly body: string | Buffer
}

/**
 * Fields that prove who asks.
 * @param service as AWS abbreviates it: `bedrock`
 * @param now epoch milliseconds
 */
export function awsSignature(
  { method, url, body }: AwsRequest,
  { access_key_id: id, secret_access_key: secret, session_token: token }: AwsCredentials,
  region: string,
  service: string,
  now: number,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const time = new Date(now).toISOString().replace(/[-:]|\.\d{3}/g, '')
  const scope = `${time.slice(0, 8)}/${region}/${service}/aws4_request`
  const fields: Record<string, string> = {
    ...more,
    host: url.host,
    'x-amz-date': time,
    ...(token !== undefined && { 'x-amz-security-token': token }),
  }
  const names = Object.keys(fields).sort()
  const signed = names.join(';')
  const canonical = [
    method,
    // What stands encoded in the request is encoded once more here, but for S3.
    url.pathname.split('/').map(encoded).join('/'),
    canonicalQuery(url),
    ...names.map((name) => `${name}:${fields[name]!.trim()}`),
    '',
    signed,
    sha256(body),
  ].join('\n')
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')
  let key = hmac(`AWS4${secret}`, time.slice(0, 8))
  for (const part of [region, service, 'aws4_request']) key = hmac(key, part)
  const { host: _, ...sent } = fields
  const signature = hmac(key, text).toString('hex')
  const authorization = `AWS4-HMAC-SHA256 Credential=${id}/${scope}, SignedHeaders=${signed}, Signature=${signature}`
  return { ...sent, authorization }
}

/** RFC 3986's unreserved characters stay. */
export function encoded(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function canonicalQuery(url: URL): string {
  const pairs = Array.from(url.searchParams, ([name, value]) => [encoded(name), encoded(value)] as const)
  // By bytes, which is what comparing does to texts in ASCII; names before values.
  pairs.sort(([a, x], [b, y]) => (a === b ? order(x, y) : order(a, b)))
  return pairs.map(([name, value]) => `${name}=${value}`).join('&')
}

function order(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

function sha256(value: string | Buffer): string {
  return createHash('sha256').update(value).digest('hex')
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
