/** Everything that a control plane or another agent needs of the protocol (docs/reference/sync-protocol.md). */
export {
  type Bundle,
  type BundleExpectation,
  bundleMediaType,
  configurationOf,
  maxBundleHeadBytes,
  readBundle,
  type VerifiedBundle,
  verifyBundle,
  writeBundle,
} from './bundle.ts'
export { canonicalJson, sha256 } from './canonical.ts'
export {
  clockTolerance,
  type Delegation,
  delegationSchema,
  instant,
  signDelegation,
  verifyDelegation,
} from './delegation.ts'
export { readDocument } from './document.ts'
export { keyIdOf, type PublicKey, publicKeyOf, publicKeySchema, verifierOf } from './keys.ts'
export { type Manifest, manifestSchema, signManifest, verifyManifest } from './manifest.ts'
export * from './messages.ts'
export { type PatchOperation, patchBetween } from './patch.ts'
export { Refusal, type RefusalCode, refusalCodes } from './refusal.ts'
export { readToken, type Token, writeToken } from './token.ts'
export {
  type Authority,
  type CertificateContents,
  issueCertificate,
  randomSerial,
} from './x509/certificate.ts'
export {
  CertificateRequestError,
  createCertificateRequest,
  readCertificateRequest,
} from './x509/certificate-request.ts'
export type { Subject } from './x509/subject.ts'
