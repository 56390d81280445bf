export { Cache, type CacheRules } from './cache.ts'
export { cachePlace, cacheTerms } from './fields.ts'
export { digestOf, identityOf, placeOf } from './key.ts'
export { cacheZoneFinding, compileParts } from './rules.ts'
