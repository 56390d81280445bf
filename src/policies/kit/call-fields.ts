import { Type } from '../../config/type.ts'
import type { CallOptions } from './calls.ts'

/** Settings of calls to other services, with the names and defaults of APISIX. */

/** @param pool default of `keepalive_pool`, which is known because APISIX has it */
export const keepAliveFields = (pool: number) => ({
  keepalive: Type.Boolean({ default: true, description: 'Keep connections open for further calls.' }),
  keepalive_timeout: Type.Integer({
    minimum: 1000,
    default: 60_000,
    description: 'Milliseconds that they are kept for.',
  }),
  keepalive_pool: Type.Integer({ minimum: 1, default: pool, description: 'Has no effect.' }),
})

/** Milliseconds that the service may take. */
export const callTimeout = (limits: { minimum?: number; maximum?: number; default?: number } = {}) =>
  Type.Integer({ minimum: 1, default: 3000, ...limits, description: 'Milliseconds for an answer.' })

/** @param timeout the schema of `timeout`; by default up to a minute */
export const callFields = (timeout = callTimeout({ maximum: 60_000 })) => ({
  ssl_verify: Type.Boolean({ default: true, description: 'Check the certificate of the service.' }),
  timeout,
  ...keepAliveFields(5),
})

/** What these settings mean for `host.calls`. */
export const callOptions = (config: {
  readonly ssl_verify: boolean
  readonly timeout: number
  readonly keepalive: boolean
  readonly keepalive_timeout: number
}): CallOptions => ({
  timeout: config.timeout,
  verify: config.ssl_verify,
  keepAlive: config.keepalive,
  keepAliveTimeout: config.keepalive_timeout,
})
