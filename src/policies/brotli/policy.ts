import { constants, createBrotliCompress } from 'node:zlib'
import { compress, compressionFields, endCompression } from '../kit/compression.ts'
import { definePolicy, openInApisix, Type } from '../kit/index.ts'

/** Still smaller answers; configuration and behaviour of APISIX's `brotli`. */
export default definePolicy({
  name: 'brotli',
  summary: 'Compresses answers of upstreams with Brotli for clients that accept it.',
  details:
    'As with `gzip`, each piece goes on at once, a strong `ETag` becomes a weak one, and answers that are encoded ' +
    'already, that are part of something (206) or say `no-transform` stay as they are. Where both policies are bound, ' +
    'clients get the coding that they want more (`q`), and Brotli when they want both alike.',
  stage: 'transform',
  priority: 996,
  config: Type.Object(
    {
      ...compressionFields,
      mode: Type.Integer({
        minimum: 0,
        maximum: 2,
        default: 0,
        description: 'What the input is: 0 anything, 1 text, 2 fonts.',
      }),
      comp_level: Type.Integer({
        minimum: 0,
        maximum: 11,
        default: 6,
        description: 'From 0, the fastest, to 11, the smallest.',
      }),
      lgwin: Type.Enum([0, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24], {
        default: 19,
        description: 'Size of the window, as a power of two; 0: chosen by the library.',
        type: 'integer',
      }),
      lgblock: Type.Enum([0, 16, 17, 18, 19, 20, 21, 22, 23, 24], {
        default: 0,
        description: 'Size of the blocks, as a power of two; 0: chosen by the library.',
        type: 'integer',
      }),
    },
    openInApisix,
  ),
  create(config) {
    const params = {
      [constants.BROTLI_PARAM_MODE]: config.mode,
      [constants.BROTLI_PARAM_QUALITY]: config.comp_level,
      ...(config.lgwin !== 0 && { [constants.BROTLI_PARAM_LGWIN]: config.lgwin }),
      ...(config.lgblock !== 0 && { [constants.BROTLI_PARAM_LGBLOCK]: config.lgblock }),
    }
    const open = () => createBrotliCompress({ params, flush: constants.BROTLI_OPERATION_FLUSH })
    return {
      respond: (exchange) => compress(exchange, 'br', config, open),
      observe: endCompression,
    }
  },
})
