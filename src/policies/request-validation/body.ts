/** Bodies as values. Texts of bodies have one character a byte. */
import { type PairValue, readPairs } from '../kit/index.ts'

export type Reading =
  /** `text`: what says the same in one way only; absent: the body itself does. */
  { readonly value: unknown; readonly text?: string } | { readonly problem: string }

/** A number in JSON with the digits that it was written with. */
interface RawJson {
  rawJSON(text: string): unknown
}

export function readJson(body: string): Reading {
  const text = Buffer.from(body, 'latin1').toString()
  try {
    const value: unknown = JSON.parse(text)
    const { rawJSON } = JSON as unknown as RawJson
    const kept = JSON.parse(text, function keep(_, member, context?: { source?: string }) {
      return typeof member === 'number' && context?.source ? rawJSON(context.source) : member
    } as (key: string, value: unknown) => unknown)
    return { value, text: Buffer.from(JSON.stringify(kept)).toString('latin1') }
  } catch (error) {
    return {
      problem: `the body is no JSON: ${error instanceof RangeError ? 'it is too deep' : 'it cannot be read'}`,
    }
  }
}

/** A name that comes twice has a list; one without `=` is true. */
export function readForm(body: string): Reading {
  const pairs = Object.entries(readPairs(body, Number.POSITIVE_INFINITY))
  return { value: Object.fromEntries(pairs.map(([name, value]) => [text(name), inText(value)])) }
}

function inText(value: PairValue): unknown {
  return Array.isArray(value) ? value.map(inText) : value === true ? true : text(value)
}

const text = (bytes: string) => Buffer.from(bytes, 'latin1').toString()
