/** Flex Gateway's local mode: its resources become services, routes, upstreams and settings of the gateway. */
import type { Environment } from '../environment.ts'
import type { SourceDocument } from '../load.ts'
import type { FindingCode } from '../problem.ts'
import type { Report } from '../report.ts'
import { translateApis } from './flex/apis.ts'
import { translateConfigurations } from './flex/configurations.ts'
import { translateContracts } from './flex/contracts.ts'
import { translateListeners } from './flex/listeners.ts'
import { readModel } from './flex/model.ts'
import { Translation } from './flex/translation.ts'

/** What the original ignores. That a policy does not exist is none of it: nobody would know that an API is open. */
const ignored: readonly FindingCode[] = ['unknown-field', 'dangling-reference', 'ignored-field']

export interface FlexOptions {
  /** Default: none. */
  env?: Environment | undefined
  /** Whether what the original ignores is an error. */
  isStrict: boolean
}

/** What they come to, all together; undefined: nothing. */
export function translateFlex(
  documents: readonly SourceDocument[],
  { env = {}, isStrict }: FlexOptions,
  report: Report,
): SourceDocument | undefined {
  if (documents.length === 0) return undefined
  if (!isStrict) for (const document of documents) report.tolerate(document, ignored)
  const model = readModel(documents, isStrict, report)
  const translation = new Translation()
  const settings = translateConfigurations(model, env, translation, report)
  translateApis(model, settings, translation, report)
  translateContracts(model, translation, report)
  translateListeners(model, settings.isProxied, translation, report)
  const made = translation.document(documents[0]!.file)
  if (!isStrict && made !== undefined) report.tolerate(made, ignored)
  return made
}
