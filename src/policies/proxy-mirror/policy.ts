import { definePolicy, type Exchange, openInApisix, Type } from '../kit/index.ts'
import { Mirror, type MirroredRequest } from './mirror.ts'

/** A copy of requests for another server; configuration and behaviour of APISIX's `proxy-mirror`. */
export default definePolicy({
  name: 'proxy-mirror',
  summary:
    'Sends a copy of the requests, or of a share of them, to another server, whose answers are dropped.',
  details:
    'The copy has method and fields of the request, its path and query as the client sent them, and the body that the ' +
    'upstream gets. Requests ' +
    'that the gateway answers itself are not copied. The mirror slows nothing down: a copy is given up when more than ' +
    '1 MiB of its body waits, when 256 copies are under way in a thread, or after 30 seconds. ' +
    '`sluice_mirrored_requests_total` counts copies by what became of them. Mirrors that speak gRPC are not supported.',
  stage: 'transform',
  priority: 1010,
  config: Type.Object(
    {
      host: Type.String({
        pattern: '^(http(s)?|grpc(s)?):\\/\\/([\\da-zA-Z.-]+|\\[[\\da-fA-F:]+\\])(:\\d+)?$',
        description: 'Scheme and address of the server: `http://10.0.0.1:8080`.',
      }),
      path: Type.Optional(
        Type.String({
          pattern: '^/[^/?&]+$',
          description: 'A path in place of the request’s, or before it.',
        }),
      ),
      path_concat_mode: Type.Enum(['replace', 'prefix'], {
        default: 'replace',
        description: 'Whether `path` takes the place of the path or comes before it.',
        type: 'string',
      }),
      sample_ratio: Type.Number({
        minimum: 0.00001,
        maximum: 1,
        default: 1,
        description: 'Share of the requests that are copied.',
      }),
    },
    openInApisix,
  ),
  validate: ({ host }) =>
    host.startsWith('grpc')
      ? 'host: mirrors that speak gRPC are not supported by this version yet'
      : undefined,
  create(config, host) {
    const mirror = new Mirror(config.host, host)
    /** Null: it was chosen, and its copy has not begun; undefined: there is none. */
    const copies = new WeakMap<Exchange, MirroredRequest | null | undefined>()
    const { path = '', path_concat_mode: mode, sample_ratio: ratio } = config

    /** The head is complete when the first piece of the body, or the head itself, is on its way to the upstream. */
    function copyOf(exchange: Exchange): MirroredRequest | undefined {
      const known = copies.get(exchange)
      if (known !== null) return known
      // A body that is there already may be another one than the client's.
      const whole = exchange.request.heldBody(Number.MAX_SAFE_INTEGER)
      const begun = mirror.begin(exchange, targetOf(exchange.request), whole)
      copies.set(exchange, begun)
      return begun
    }

    function targetOf({ path: asked, query }: { path: string; query: string }): string {
      const made = path === '' ? asked : mode === 'prefix' ? path + asked : path
      return query === '' ? made : `${made}?${query}`
    }

    return {
      request(exchange) {
        if (ratio === 1 || Math.random() < ratio) copies.set(exchange, null)
      },
      send(exchange) {
        copyOf(exchange)
      },
      requestBody(exchange, piece) {
        copyOf(exchange)?.write(piece)
        return undefined
      },
      observe(exchange) {
        copies.get(exchange)?.end()
      },
    }
  },
})
