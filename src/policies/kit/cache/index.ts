export { Cache, type CacheRules } from './cache.ts'
export { digestOf, identityOf, placeOf } from './key.ts'
export { cacheZoneFinding, compileParts } from './rules.ts'
