export { guard, guardFields, limit } from './guard.ts'
export { type JsonLimits, JsonScanner } from './json-scanner.ts'
export { type XmlLimits, type XmlReceiver, XmlScanner } from './xml-scanner.ts'
