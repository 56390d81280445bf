import { constants, createGzip } from 'node:zlib'
import { compress, compressionFields, endCompression } from '../kit/compression.ts'
import { definePolicy, openInApisix, Type } from '../kit/index.ts'

/** Smaller answers; configuration and behaviour of APISIX's `gzip`. */
export default definePolicy({
  name: 'gzip',
  summary: 'Compresses answers of upstreams with gzip for clients that accept it.',
  details:
    'Compressed is what comes piece by piece, and each piece goes on at once. A strong `ETag` becomes a weak one, ' +
    'another form of it is taken away. Answers that are encoded already, that are part of something (206) or say ' +
    '`no-transform` stay as they are. The fields of `buffers` have no effect: nothing is kept in buffers.',
  stage: 'transform',
  priority: 995,
  config: Type.Object(
    {
      ...compressionFields,
      comp_level: Type.Integer({
        minimum: 1,
        maximum: 9,
        default: 1,
        description: 'From 1, the fastest, to 9, the smallest.',
      }),
      buffers: Type.Object(
        {
          number: Type.Integer({ minimum: 1, default: 32, description: 'Without effect.' }),
          size: Type.Integer({ minimum: 1, default: 4096, description: 'Without effect.' }),
        },
        { additionalProperties: false, default: { number: 32, size: 4096 }, description: 'Without effect.' },
      ),
    },
    openInApisix,
  ),
  create(config) {
    const open = () => createGzip({ level: config.comp_level, flush: constants.Z_SYNC_FLUSH })
    return {
      respond: (exchange) => compress(exchange, 'gzip', config, open),
      observe: endCompression,
    }
  },
})
