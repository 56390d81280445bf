/** Loads what an operator wrote, in a data thread. The control thread has found that it can be loaded. */
import { keyOf } from './config/own-functions.ts'
import type { FunctionModule, PolicyModule } from './config/settings.ts'
import { importModule } from './own-modules.ts'
import type { OwnFunction } from './policies/kit/functions/own-function.ts'
import type { AnyPolicy } from './policies/kit/policy.ts'

/** Rejects when a module does not load. Functions are by what a plan says of them. */
export async function loadCode({
  policies,
  functions,
}: {
  policies: readonly PolicyModule[]
  functions: readonly FunctionModule[]
}): Promise<{ policies: ReadonlyMap<string, AnyPolicy>; functions: ReadonlyMap<string, OwnFunction> }> {
  const found = new Map<string, AnyPolicy>()
  for (const { name, url } of policies) found.set(name, (await importModule(url)).default as AnyPolicy)
  const byKey = new Map<string, OwnFunction>()
  for (const { name, url } of functions) {
    for (const [exported, value] of Object.entries(await importModule(url)))
      if (typeof value === 'function') byKey.set(keyOf(name, exported), value as OwnFunction)
  }
  return { policies: found, functions: byKey }
}
