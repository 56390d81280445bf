export { Cache, type CacheRules } from './cache.ts'
export { identityOf, placeOf } from './key.ts'
export { cacheZoneFinding, compileParts } from './rules.ts'
