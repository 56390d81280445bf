import { objectOf, partsOf, readToken, type Token } from '../kit/index.ts'

/** @param isUnsigned whether nobody looks at the signature, which then may be missing */
export function tokenOf(text: string, isUnsigned: boolean): Token | undefined {
  const token = readToken(text)
  if (token !== undefined || !isUnsigned) return token
  const [header = '', payload = ''] = partsOf(text, 3) ?? []
  const [head, body] = [objectOf(header), objectOf(payload)]
  if (head === undefined || body === undefined) return undefined
  return { header: head, payload: body, signed: `${header}.${payload}`, signature: Buffer.alloc(0) }
}
