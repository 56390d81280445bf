import type { PathSegment } from './problem.ts'

/** A value whose schema carries an annotation. */
export interface AnnotatedValue {
  /** What the annotation says. */
  readonly setting: unknown
  readonly value: unknown
  readonly path: readonly PathSegment[]
}

interface Annotated {
  readonly properties?: Readonly<Record<string, Annotated>>
  readonly items?: Annotated
  readonly [keyword: string]: unknown
}

/** The values in a configuration whose schema carries this annotation, at any depth of maps and lists. */
export function* annotatedValues(
  schema: object,
  value: unknown,
  annotation: string,
  path: readonly PathSegment[] = [],
): Generator<AnnotatedValue> {
  const annotated = schema as Annotated
  if (value === undefined || !holds(annotated, annotation)) return
  if (annotated[annotation] !== undefined) {
    yield { setting: annotated[annotation], value, path }
    return
  }
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries())
      yield* annotatedValues(annotated.items ?? {}, item, annotation, [...path, index])
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(annotated.properties ?? {}))
      yield* annotatedValues(inner, (value as Record<string, unknown>)[name], annotation, [...path, name])
  }
}

/** By annotation: whether it stands anywhere in a schema. Most have none, and are done with at once. */
const known = new Map<string, WeakMap<object, boolean>>()

function holds(schema: Annotated, annotation: string): boolean {
  let answers = known.get(annotation)
  if (answers === undefined) {
    answers = new WeakMap()
    known.set(annotation, answers)
  }
  let answer = answers.get(schema)
  if (answer === undefined) {
    answer =
      schema[annotation] !== undefined ||
      (schema.items !== undefined && holds(schema.items, annotation)) ||
      Object.values(schema.properties ?? {}).some((inner) => holds(inner, annotation))
    answers.set(schema, answer)
  }
  return answer
}
