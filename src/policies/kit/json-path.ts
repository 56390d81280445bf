import { parseJsonPath } from '../../config/json-path.ts'
import { type JsonPlace, jsonPlaces, queryJson } from '../../proxy/json-path.ts'

/** Every value of a parsed JSON text that a path leads to, in the order of the text. */
export type JsonQuery = (root: unknown) => unknown[]

/** A path such as `$.groups`, `groups` or `$..roles[*].name`; undefined when it is none. */
export function compileJsonPath(text: string): JsonQuery | undefined {
  const steps = stepsOf(text)
  return steps && ((root) => queryJson(root, steps))
}

/** The same for the places where those values stand. */
export function compileJsonPlaces(text: string): ((root: unknown) => JsonPlace[]) | undefined {
  const steps = stepsOf(text)
  return steps && ((root) => jsonPlaces(root, steps))
}

function stepsOf(text: string) {
  return parseJsonPath(text.startsWith('$.') ? text.slice('$.'.length) : text)
}
