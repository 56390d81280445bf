/** Times of Flex Gateway. */
import { Type } from '../../type.ts'

/** @param usual seconds */
export const timeoutSchema = (usual: number) =>
  Type.Object({ timeout: Type.Number({ minimum: 0, default: usual, description: 'Seconds; 0: none.' }) })

/** Nothing waits for ever: 0, which is no limit in the original, is a day. */
export function timeoutSeconds(seconds: number): number {
  return seconds === 0 ? 86_400 : seconds
}
