/** Opens connections to Redis, of the three kinds that APISIX knows. */
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import { scripts } from './redis-scripts.ts'
import type { RedisTarget } from './redis-target.ts'

export type RedisClient = Redis | Cluster

const firstPauseMs = 50
const longestPauseMs = 1000

/** The package is loaded with the first connection. It connects with the first command. */
export async function openRedis(target: RedisTarget): Promise<RedisClient> {
  const { Cluster, Redis } = await import('ioredis')
  const { username, password, tls, timeoutMs } = target
  const pause = (times: number) => Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(times, 10))
  const options: Omit<RedisOptions, 'replyMapping'> = {
    protocol: 2,
    disableClientInfo: true,
    lazyConnect: true,
    connectTimeout: target.connectTimeoutMs,
    retryStrategy: pause,
    // A decision that was not made in time is made elsewhere: sending it again would count twice.
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // A master that became a replica has done nothing; 2: connect anew, and send it once more.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
    ...(username !== undefined && { username }),
    ...(password !== undefined && password !== '' && { password }),
    ...(tls && { tls: { rejectUnauthorized: tls.verify } }),
  }
  switch (target.kind) {
    case 'redis':
      return new Redis({ ...options, host: target.host, port: target.port, db: target.database, scripts })
    case 'redis-sentinel':
      return new Redis({
        ...options,
        sentinels: [...target.sentinels],
        name: target.master,
        role: target.role,
        db: target.database,
        sentinelRetryStrategy: pause,
        sentinelCommandTimeout: timeoutMs,
        ...(target.sentinelUsername !== undefined && { sentinelUsername: target.sentinelUsername }),
        ...(target.sentinelPassword !== undefined && { sentinelPassword: target.sentinelPassword }),
        scripts,
      })
    case 'redis-cluster':
      return new Cluster([...target.nodes], {
        lazyConnect: true,
        redisOptions: { ...options, commandTimeout: timeoutMs },
        clusterRetryStrategy: pause,
        slotsRefreshTimeout: timeoutMs,
        // Certificates of a cluster are for names, its table of slots has addresses.
        dnsLookup: (address, callback) => callback(null, address),
        scripts,
      })
  }
}
