import { Type } from '../../../config/type.ts'

/** Settings that policies share which store answers. */

/** Where answers are stored. */
export const cachePlace = {
  cache_strategy: Type.Enum(['disk', 'memory'], {
    default: 'disk',
    description: 'Where answers are stored.',
  }),
  cache_zone: Type.String({
    minLength: 1,
    maxLength: 100,
    default: 'disk_cache_one',
    description: 'A zone of `gateway.cache.zones` that fits the strategy.',
  }),
}

/** For how long, and for whom. @param unless completes the sentence about how long an answer is fresh */
export const cacheTerms = (unless = '') => ({
  cache_ttl: Type.Integer({
    minimum: 1,
    default: 300,
    description: `Seconds that an answer in memory is fresh${unless}.`,
  }),
  consumer_isolation: Type.Boolean({ default: true, description: 'Consumers do not share answers.' }),
  cache_set_cookie: Type.Boolean({
    default: false,
    description: 'Store answers with `Set-Cookie` too; in memory only.',
  }),
})
