export { textsOf } from './answer.ts'
export { type ModelCall, modelCall, setModelCall } from './call.ts'
export { addMessages, isJson, type Json, messagesOf, protocolOf, requestFor } from './chat.ts'
export { readJson, readModelRequest, writeJson } from './json-request.ts'
export { ModelClient, type Outcome } from './model-client.ts'
export { serviceOrigin } from './model-request.ts'
export { providerOf } from './providers.ts'
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
