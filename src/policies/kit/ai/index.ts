export { textsOf } from './answer.ts'
export { type ModelCall, modelCall, setModelCall } from './call.ts'
export { addMessages, isJson, type Json, messagesOf, protocolOf, requestFor } from './chat.ts'
export { denial, denied } from './denial.ts'
export { readJson, readModelRequest, writeJson } from './json-request.ts'
export { ModelClient, type Outcome } from './model-client.ts'
export { serviceOrigin } from './model-request.ts'
export {
  callFor,
  denyCode,
  failMode,
  type Judgement,
  Moderation,
  type Moderator,
  moderationFields,
} from './moderation.ts'
export { providerOf } from './providers.ts'
export type { Reviewer, StreamReview } from './review.ts'
export { askService } from './service-call.ts'
export {
  asking,
  auth,
  endpoint,
  type Instance,
  instanceFinding,
  logging,
  options,
  override,
  provider,
  providerConf,
  simpleAuth,
} from './settings.ts'
export { tellOf } from './telling.ts'
export { type TurnRole, turnRoles } from './turns.ts'
