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
    ...(tls && {
      tls: {
        rejectUnauthorized: tls.verify,
        ...(tls.serverName !== undefined && { servername: tls.serverName }),
      },
    }),
  }
  switch (target.kind) {
    case 'redis': {
      const { host, port } = target
      return inDatabase(new Redis({ ...options, host, port, db: target.database, scripts }), target.database)
    }
    case 'redis-sentinel': {
      const client = new Redis({
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
      return inDatabase(client, target.database)
    }
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

/** The client goes on in database 0 where it cannot have another, and says nothing: better to know before the first count. */
async function inDatabase(client: Redis, database: number): Promise<Redis> {
  if (database === 0) return client
  client.on('error', () => {})
  try {
    await client.select(database)
    return client
  } catch (error) {
    client.disconnect()
    throw error
  }
}
