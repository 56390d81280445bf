import { definePolicy, openInApisix, Type } from '../kit/index.ts'
import {
  batchedLogger,
  entryFields,
  expressionFindings,
  loggerMetadata,
  PartlyDelivered,
  UdpSink,
} from '../kit/logging/index.ts'

/** Entries for a server over UDP; configuration and entries of APISIX's `udp-logger`. */
export default definePolicy({
  name: 'udp-logger',
  summary: 'Sends an entry about each exchange to a server over UDP, in batches.',
  details:
    'A datagram is a list of JSON objects, or a single one with `batch_max_size: 1`. A batch that does not fit one ' +
    'datagram, which APISIX loses, goes in several. Nobody hears of datagrams that the network loses.',
  stage: 'transform',
  priority: 400,
  version: 0.1,
  config: Type.Object(
    {
      host: Type.String({ description: 'Address or name of the server.' }),
      port: Type.Integer({ minimum: 0, description: 'Its port.' }),
      timeout: Type.Integer({ minimum: 1, default: 3, description: 'Has no effect: nothing answers.' }),
      ...entryFields('udp logger'),
    },
    openInApisix,
  ),
  metadata: loggerMetadata,
  validate: expressionFindings,
  create(config, host) {
    const sink = new UdpSink(config.host, config.port)
    const single = config.batch_max_size === 1

    /** In as few datagrams as halving leads to. @returns how many of the entries were sent */
    async function send(entries: readonly string[], before = 0): Promise<number> {
      const datagram = single ? entries[0]! : `[${entries.join(',')}]`
      if (entries.length > 1 && !UdpSink.fits(datagram)) {
        const half = entries.length >> 1
        const sent = await send(entries.slice(0, half), before)
        return send(entries.slice(half), sent)
      }
      try {
        await sink.send(datagram)
      } catch (error) {
        throw new PartlyDelivered(before, (error as Error).message)
      }
      return before + entries.length
    }

    return batchedLogger<string>(config, host, {
      entry: (exchange, entries) => JSON.stringify(entries.read(exchange)),
      async send(entries) {
        await send(entries)
      },
    })
  },
})
