/** For tests of policies that refuse bodies. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Run } from '../testing.ts'

/** One test for each body that is refused, with the reason that the client is told. */
export function refusals(
  send: (body: string) => Promise<Run>,
  rejected: readonly (readonly [body: string, reason: string])[],
): void {
  for (const [body, reason] of rejected) {
    test(JSON.stringify(body), async () => {
      const { answer, upstream } = await send(body)
      const message = `{"message":"The body was refused: ${reason}"}\n`
      assert.deepEqual([answer.status, answer.body, upstream], [400, message, undefined])
    })
  }
}
