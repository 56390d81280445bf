/** Certificates and their private keys, as far as they can be told without using them, in the words of APISIX. */
import { createPrivateKey, X509Certificate } from 'node:crypto'

interface Certificate {
  type?: unknown
  cert?: string
  key?: string
  certs?: readonly string[]
  keys?: readonly string[]
  client?: { ca: string }
}

/** For a certificate that fits its schema. */
export function certificateError(resource: object): string | undefined {
  const { type, cert, key, certs = [], keys = [], client } = resource as Certificate
  const fault = pairError(cert, key)
  if (fault !== undefined || type === 'client') return fault
  if (certs.length !== keys.length) return 'mismatched number of certs and keys'
  for (const [index, further] of certs.entries()) {
    const furtherFault = pairError(further, keys[index])
    if (furtherFault !== undefined) return `failed to handle cert-key pair[${index + 1}]: ${furtherFault}`
  }
  const caFault = client && pairError(client.ca, undefined)
  return caFault && `failed to validate client_cert: ${caFault}`
}

/** What is kept elsewhere cannot be looked at. */
const isReference = (text: string) => /^\$(secret|env):\/\//i.test(text)

function pairError(cert: string | undefined, key: string | undefined): string | undefined {
  if (cert === undefined || isReference(cert) || (key !== undefined && isReference(key))) return undefined
  try {
    new X509Certificate(cert)
  } catch {
    return 'failed to parse cert: PEM_read_bio_X509_AUX() failed'
  }
  if (key === undefined) return undefined
  try {
    createPrivateKey(key)
  } catch {
    return 'failed to parse key: PEM_read_bio_PrivateKey() failed'
  }
  return undefined
}
