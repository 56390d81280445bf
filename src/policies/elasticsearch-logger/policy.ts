import { definePolicy, openInApisix, Type } from '../kit/index.ts'
import {
  anyServer,
  batchedLogger,
  entryFields,
  expressionFindings,
  HttpSink,
  loggerMetadata,
  serverFields,
  serversFinding,
  Undeliverable,
} from '../kit/logging/index.ts'
import { indexName } from './index-name.ts'

interface Row {
  index: string
  line: string
}

/** As far as it is asked for. */
interface BulkAnswer {
  errors?: unknown
  items?: ({ index?: { status?: unknown } } | null)[]
}

const address = (description: string) =>
  Type.String({ pattern: '[^/]$', 'x-form': 'an address without a slash at its end', description })

/** Entries for Elasticsearch; configuration and rows of APISIX's `elasticsearch-logger`. */
export default definePolicy({
  name: 'elasticsearch-logger',
  summary: 'Writes an entry about each exchange to Elasticsearch, in batches.',
  details:
    'Batches go to `/_bulk` of one of the servers, taken at random. The server is asked for its version before the first ' +
    'batch, since old ones want a `_type`. Entries that it refuses in an answer of 200 are counted as failed, and not sent ' +
    'again. `field.index` may hold variables and, in braces, formats of time: ' +
    '`services-{%Y.%m.%d}`.',
  stage: 'transform',
  priority: 413,
  version: 0.1,
  config: Type.Object(
    {
      ...serverFields(address),
      field: Type.Optional(
        Type.Object(
          { index: Type.String({ description: 'Name of the index.' }) },
          { description: 'Where entries are put.', ...openInApisix },
        ),
      ),
      auth: Type.Optional(
        Type.Object(
          {
            username: Type.String({ minLength: 1, description: 'User.' }),
            password: Type.String({ minLength: 1, description: 'Password.', 'x-secret': true }),
          },
          { description: 'HTTP Basic credentials.', ...openInApisix },
        ),
      ),
      headers: Type.Optional(
        Type.Record(Type.String(), Type.String({ minLength: 1, 'x-secret': true }), {
          minProperties: 1,
          propertyNames: { pattern: '^[^:]+$' },
          description: 'Further fields of requests.',
        }),
      ),
      timeout: Type.Integer({ minimum: 1, default: 10, description: 'Seconds that the server may take.' }),
      ssl_verify: Type.Boolean({
        default: true,
        description: 'Whether the certificate of the server is verified.',
      }),
      ...entryFields('elasticsearch-logger'),
    },
    {
      oneOf: [{ required: ['endpoint_addr', 'field'] }, { required: ['endpoint_addrs', 'field'] }],
      ...openInApisix,
    },
  ),
  metadata: loggerMetadata,
  validate: (config) => serversFinding(config) ?? expressionFindings(config),
  create(config, host) {
    const { auth, timeout, ssl_verify: verify } = config
    const anyOne = anyServer(config)
    const sink = new HttpSink({ timeout: timeout * 1000, verify, accepts: (status) => status === 200 })
    const index = indexName(
      config.field!.index,
      (text) => host.template(text),
      () => host.now(),
    )
    const credentials = {
      ...(auth !== undefined && {
        authorization: `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`,
      }),
      ...config.headers,
    }
    let typed: boolean | undefined

    async function wantsType(server: string): Promise<boolean> {
      const answer = JSON.parse(await sink.get(new URL(server), credentials)) as {
        version?: { number?: unknown }
      }
      return /^[56]\./.test(String(answer.version?.number))
    }

    return batchedLogger<Row>(
      config,
      host,
      {
        entry: (exchange, entries) => ({
          index: index(exchange),
          line: JSON.stringify(entries.read(exchange)),
        }),
        async send(rows) {
          const server = anyOne()
          typed ??= await wantsType(server).catch(() => undefined)
          let body = ''
          for (const row of rows) {
            const action = { index: { _index: row.index, ...(typed && { _type: '_doc' }) } }
            body += `${JSON.stringify(action)}\n${row.line}\n`
          }
          const headers = {
            'content-type': 'application/x-ndjson',
            accept: 'application/vnd.elasticsearch+json',
            ...credentials,
          }
          // The whole answer tells of every entry more than anybody reads.
          const url = new URL(`${server}/_bulk?filter_path=errors,items.*.status`)
          checkTaken(await sink.post(url, headers, body), rows.length)
        },
      },
      ({ line }) => line.length,
    )
  },
})

/**
 * A status of 200 says that the server read the batch, not that it took every entry.
 * @throws Undeliverable when it refused some: to send the batch again would write the others twice
 */
function checkTaken(answer: string, count: number): void {
  let facts: BulkAnswer | null
  try {
    facts = JSON.parse(answer)
  } catch {
    return
  }
  if (facts?.errors !== true || !Array.isArray(facts.items)) return
  const statuses = facts.items.map((item) => Number(item?.index?.status))
  const refused = statuses.filter((status) => !(status < 300))
  if (refused.length === 0) return
  const reason = `the server refuses ${refused.length} of ${count} entries, the first with ${refused[0]}`
  throw new Undeliverable(Math.max(0, count - refused.length), reason)
}
