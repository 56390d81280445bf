export { type ModelCall, modelCall, setModelCall } from './call.ts'
export { addMessages, isJson, type Json, messagesOf, protocolOf } from './chat.ts'
export { readJson, readModelRequest, writeJson } from './json-request.ts'
export { ModelClient, type Outcome } from './model-client.ts'
export { serviceOrigin } from './model-request.ts'
export {
  asking,
  auth,
  type Instance,
  instanceFinding,
  logging,
  options,
  override,
  provider,
  providerConf,
} from './settings.ts'
export { tellOf } from './telling.ts'
