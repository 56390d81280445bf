/** Parameters of a call to Alibaba Cloud, signed (RPC style, HMAC-SHA1). */
import { createHmac } from 'node:crypto'
import { encoded } from '../kit/ai/aws-signature.ts'

/** The form that goes to `/`. */
export function signedForm(
  parameters: Readonly<Record<string, string>>,
  secret: string,
  method: 'GET' | 'POST' = 'POST',
): string {
  const pairs = Object.keys(parameters)
    .sort()
    .map((name) => `${encoded(name)}=${encoded(parameters[name]!)}`)
    .join('&')
  const signature = createHmac('sha1', `${secret}&`)
    .update(`${method}&%2F&${encoded(pairs)}`)
    .digest('base64')
  return `${pairs}&Signature=${encoded(signature)}`
}
