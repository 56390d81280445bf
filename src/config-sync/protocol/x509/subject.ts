/** Names of certificates: who has one, and who gave it. */
import { objectId, readValues, sequence, set, utf8String } from './der.ts'

export interface Subject {
  commonName: string
  organization?: string
  unit?: string
}

const types = { organization: '2.5.4.10', unit: '2.5.4.11', commonName: '2.5.4.3' } as const

/** RFC 5280, section 4.1.2.4. */
export function writeSubject(subject: Subject): Buffer {
  const parts = Object.entries(types).flatMap(([name, type]) => {
    const value = subject[name as keyof Subject]
    return value === undefined ? [] : [set(sequence(objectId(type), utf8String(value)))]
  })
  return sequence(...parts)
}

/** The common name in a subject, given without its tag. */
export function commonNameIn(content: Buffer): string | undefined {
  const wanted = objectId(types.commonName)
  for (const part of readValues(content)) {
    for (const attribute of readValues(part.content)) {
      const [type, value] = readValues(attribute.content)
      if (type !== undefined && value !== undefined && type.whole.equals(wanted)) {
        return value.content.toString('utf8')
      }
    }
  }
  return undefined
}
