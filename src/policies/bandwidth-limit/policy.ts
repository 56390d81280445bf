import { type BodyFilter, definePolicy, type Exchange, Type } from '../kit/index.ts'
import { compileKey, counterPrefix } from '../kit/limits/index.ts'

/** Shapes answers to a number of bytes a second. */
export default definePolicy({
  name: 'bandwidth-limit',
  summary: 'Limits the bytes a second of answers with a token bucket.',
  details:
    'Bodies of answers with one key share `rate` bytes a second, exactly over all threads of a node; `burst` bytes go at ' +
    'once. What is too much waits, and the upstream with it: nothing is collected and nothing is rejected. A thread has at ' +
    'most 10000 answers waiting, and lets what would be more pass. The length of a shaped answer is not announced.',
  stage: 'limit',
  priority: 995,
  config: Type.Object({
    rate: Type.Integer({ minimum: 1, description: 'Bytes a second.' }),
    burst: Type.Optional(
      Type.Integer({ minimum: 0, description: 'Bytes that go at once. Default: `rate`.' }),
    ),
    key_type: Type.Enum(['var', 'var_combination', 'constant'], {
      default: 'var',
      description: 'Whether `key` is one variable, a text with variables, or the same for all.',
    }),
    key: Type.String({
      default: 'remote_addr',
      description: 'What answers share the rate by. The client address stands in when it has no value.',
    }),
  }),
  create(config, host) {
    const { limiter, delays } = host
    const keyOf = compileKey(config.key_type, config.key, host)
    const prefix = counterPrefix('bandwidth-limit', host.binding.owner, config)
    const bucket = { perMs: config.rate / 1000, burst: config.burst ?? config.rate }

    /** Waits until the bucket takes the piece. */
    async function slow(exchange: Exchange, key: string, piece: Buffer, waitMs: number): Promise<Buffer> {
      for (let wait = waitMs; wait > 0; wait = -limiter.leak(key, bucket, piece.length)) {
        const pending = delays.wait(wait, exchange)
        if (pending === undefined) break
        await pending
        if (exchange.outcome !== 'pending') break
      }
      return piece
    }

    return {
      respond(exchange): BodyFilter {
        const key = prefix + keyOf(exchange)
        return {
          write(piece) {
            const waitMs = limiter.leak(key, bucket, piece.length)
            return waitMs >= 0 ? piece : slow(exchange, key, piece, -waitMs)
          },
        }
      },
      observe: (exchange) => delays.release(exchange),
    }
  },
})
