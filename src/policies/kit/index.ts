/** Everything that the author of a policy needs. `testing.ts` beside it holds what its tests need. */

export { addressProblem, apisixAddressForms } from '../../config/addresses.ts'
export type { CostDecorationSpec } from '../../config/plan.ts'
export type { PrometheusSettings } from '../../config/prometheus-settings.ts'
export type {
  FieldDefinition as ProtoFieldDefinition,
  HttpRule,
  MethodDefinition as ProtoMethodDefinition,
  ProtoDefinitions,
  ScalarType as ProtoScalarType,
} from '../../config/proto/definitions.ts'
export { WireError, WireReader, wireType } from '../../config/proto/wire-reader.ts'
export { parseTolerantJson } from '../../config/tolerant-json.ts'
export { type Static, Type } from '../../config/type.ts'
export { AddressSet } from '../../proxy/addresses.ts'
export type {
  BindingInfo,
  BodyFilter,
  Consumer,
  Exchange,
  ExchangeRequest,
  HeaderBlock,
  HeaderName,
  PhaseResult,
  PolicyHandlers,
  Relay,
  Stage,
  SubrequestAnswer,
  SubrequestFailure,
  SubrequestHead,
  UpstreamHandle,
  Verdict,
} from '../../proxy/exchange.ts'
export {
  type GraphqlBinding,
  type GraphqlOperation,
  type GraphqlSelection,
  readGraphqlDocument,
} from '../../proxy/graphql.ts'
export {
  fieldLines,
  headerBlock,
  headerName,
  InvalidHeaderError,
  NumberFields,
  nameHash,
} from '../../proxy/headers.ts'
export { type BasicCredentials, credentialReader, readBasicCredentials } from './basic-credentials.ts'
export { callFields, callOptions, callTimeout, keepAliveFields } from './call-fields.ts'
export {
  type Call,
  type CallAnswer,
  type CallClient,
  CallError,
  type CallOptions,
  type CallProxies,
  jsonOf,
  serviceUrlProblem,
} from './calls.ts'
export { conditionFinding } from './condition.ts'
export { decodeContent } from './content-coding.ts'
export { contentTypeOf } from './content-type.ts'
export type { FoundCredential } from './credentials.ts'
export { fieldNamesFinding, operationsOf } from './field-operations.ts'
export {
  activeChecks,
  anonymousConsumer,
  closedInApisix,
  derivedUpstream,
  inlineUpstream,
  openInApisix,
  realm,
  upstreamId,
} from './fields.ts'
export type {
  BodyFunction,
  ExitFunction,
  FunctionAnswer,
  FunctionResult,
  LogFunction,
  OwnAnswer,
  RequestFunction,
  ResponseFunction,
} from './functions/own-function.ts'
export { type GraphqlRequest, postedGraphql, queriedGraphql } from './graphql-request.ts'
export { FrameReader, frame, prefixSize } from './grpc/frames.ts'
export { HashedTurns, type HashSource, hashSourceFinding } from './hashed-turns.ts'
export { headerNameProblem } from './header-name-problem.ts'
export { Hmac, type HmacHash } from './hmac.ts'
export type {
  CircuitRule,
  Circuits,
  ConsumerLookup,
  ContractLookup,
  Counter,
  CredentialLookup,
  Delays,
  Histogram,
  LimitBucket,
  Limiter,
  LimitKey,
  LimitState,
  LimitWindow,
  LineSink,
  LineTarget,
  Metrics,
  PolicyHost,
  PolicyLog,
  Presence,
  PublicApi,
} from './host.ts'
export { compileJsonPath, compileJsonPlaces, type JsonQuery } from './json-path.ts'
export { isTimely, type TimeClaim } from './jwt/claims.ts'
export { objectOf, partsOf } from './jwt/compact.ts'
export { type FoundKey, KeySet, readKeySet } from './jwt/key-set.ts'
export { readToken, type Token } from './jwt/token.ts'
export { digestOf, type VerifiedToken, VerifiedTokens } from './jwt/verified-tokens.ts'
export {
  type Algorithm,
  algorithms,
  fits,
  isSecret,
  keyVerifier,
  type Verifier,
  verifierOf,
} from './jwt/verifier.ts'
export { StoreAbsentError } from './limits/counter-store.ts'
export type { RedisTarget } from './limits/redis-target.ts'
export { definePolicy, type Policy, type PolicyDefinition } from './policy.ts'
export { type PairValue, queryValues, readPairs, withoutQueryParameter } from './query.ts'
export { RemoteDocument } from './remote-document.ts'
export { type ResponseSource, responseSource } from './response-source.ts'
export { schemaTest } from './schema-test.ts'
export { compileSearch, compileTextSearch, type Search } from './search.ts'
export { compileSplit, type Split } from './split.ts'
export { anonymousStandIn } from './stand-in.ts'
export { compileSubstitution, type Substitution } from './substitution.ts'
export { WeightedTurns } from './weighted-turns.ts'
export { wholeBody } from './whole-body.ts'
