/** The `content` of an item of `protos`: the text of a `.proto` file, or a descriptor set in Base64. */
import type { ProtoDefinitions } from './definitions.ts'
import { readDescriptorSet } from './descriptor-set.ts'
import { readProtoText } from './proto-text.ts'

export type ReadProto = { readonly definitions: ProtoDefinitions } | { readonly problem: string }

/** A text has semicolons and quotes. */
const isBase64 = (content: string) => !/[^A-Za-z0-9+/=\s]/.test(content)

/** Contents that were sound, the last ones: a configuration is read again with every change. */
const read = new Map<string, ReadProto>()
const mostRead = 32

export function readProto(content: string): ReadProto {
  const found = read.get(content) ?? readAnew(content)
  if ('problem' in found) return found
  read.delete(content)
  read.set(content, found)
  if (read.size > mostRead) read.delete(read.keys().next().value!)
  return found
}

function readAnew(content: string): ReadProto {
  const coded = isBase64(content)
  try {
    const definitions = coded ? readDescriptorSet(Buffer.from(content, 'base64')) : readProtoText(content)
    return { definitions }
  } catch (error) {
    const reason = (error as Error).message
    return { problem: coded ? `it is neither a text nor a descriptor set in Base64: ${reason}` : reason }
  }
}
