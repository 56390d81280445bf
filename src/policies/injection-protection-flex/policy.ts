import { rejection } from '../kit/flex/rejection.ts'
import {
  compileSearch,
  definePolicy,
  type Exchange,
  headerName,
  type Search,
  Type,
  type Verdict,
} from '../kit/index.ts'

/** Bytes of a body that is looked at. */
const largestBody = 1024 * 1024
const marker = headerName('X-Injection-Protection')

/** What gives attempts away; each is looked for on its own. */
const builtIn: Readonly<Record<'sql' | 'xss', readonly string[]>> = {
  sql: [
    '\\b(select\\b.{1,200}\\bfrom|insert\\s+into|update\\b.{1,200}\\bset|delete\\s+from|merge\\s+into)\\b',
    '\\b(drop|alter|create|truncate)\\s+(table|database|schema|view|index|user)\\b',
    '\\bunion\\s+(all\\s+)?select\\b',
    '\\bexec(ute)?\\s+(immediate|sp_|xp_)',
    "'\\s*(or|and)\\s+['\\w]+\\s*(=|<|>|like)",
    "'\\s*(;|--|#|/\\*)",
    '\\b(waitfor\\s+delay|sleep\\s*\\(|benchmark\\s*\\()',
  ],
  xss: [
    '<\\s*(script|iframe|object|embed|applet|svg|meta|link|base)\\b',
    '\\bon(error|load|click|focus|mouseover|submit|toggle|animationstart)\\s*=',
    '(javascript|vbscript)\\s*:',
    'data\\s*:\\s*text/html',
    '\\b(document\\.(cookie|write|domain)|window\\.location|eval\\s*\\()',
  ],
}

/** Patterns of attacks in requests; configuration and answers of the Flex policy of that name. */
export default definePolicy({
  name: 'injection-protection-flex',
  summary: 'Looks for patterns of SQL injection, of scripts and of your own in requests.',
  details:
    'Patterns are looked for without regard to case, in a time that no text makes long, in the text as it came and as it is ' +
    'after percent-decoding. A rejection is 400 with `{"error":"..."}` and `X-Injection-Protection: blocked`. Without ' +
    '`rejectRequests` an attempt is logged and the request goes on. Bodies are read up to 1 MiB; a larger one is 413.\n\n' +
    'The built-in patterns are our own. They keep careless attempts out, and are no replacement for parameters in queries ' +
    'and escapes in pages.',
  stage: 'transform',
  priority: 2807,
  config: Type.Object(
    {
      builtInProtections: Type.Array(Type.Enum(['sql', 'xss']), {
        description: 'Patterns that are known here.',
      }),
      customProtections: Type.Array(
        Type.Object(
          {
            name: Type.String({ minLength: 1, description: 'For the log.' }),
            regex: Type.String({ minLength: 1, maxLength: 4096, description: 'Regular expression.' }),
          },
          { additionalProperties: false },
        ),
        { default: [], maxItems: 100, description: 'Patterns of your own.' },
      ),
      protectPathAndQuery: Type.Boolean({ description: 'Look at path and query.' }),
      protectHeaders: Type.Boolean({ description: 'Look at fields.' }),
      protectBody: Type.Boolean({ description: 'Look at the body.' }),
      headersToProtect: Type.String({
        default: '',
        description: 'Names of fields between commas; empty: all.',
      }),
      rejectRequests: Type.Boolean({ description: 'False: log only.' }),
    },
    { additionalProperties: false },
  ),
  validate({ builtInProtections, customProtections }) {
    if (builtInProtections.length + customProtections.length === 0) {
      return 'one of builtInProtections and customProtections needs an entry'
    }
    for (const [index, { regex }] of customProtections.entries()) {
      const search = compileSearch(regex, true)
      if ('problem' in search) return `customProtections.${index}.regex: the expression ${search.problem}`
    }
    return undefined
  },
  create(config, { log }) {
    const patterns = [
      ...config.builtInProtections.flatMap((name) => builtIn[name].map((regex) => ({ name, regex }))),
      ...config.customProtections,
    ].map(({ name, regex }) => ({ name: name as string, search: compileSearch(regex, true) as Search }))
    const named = config.headersToProtect
      .split(',')
      .map((name) => name.trim().toLowerCase())
      .filter((name) => name !== '')
    const blocked = rejection(400, 'The request has been blocked')
    const tooLarge = rejection(413, 'Payload too large')

    const findIn = (text: string): string | undefined => {
      const decoded = decode(text)
      return patterns.find(
        ({ search }) => search.matches(text) || (decoded !== text && search.matches(decoded)),
      )?.name
    }

    function findInFields({ request: { headers } }: Exchange): string | undefined {
      if (named.length > 0) {
        for (const name of named) {
          const found = findIn(headers.getAll(name) ?? '')
          if (found !== undefined) return found
        }
        return undefined
      }
      let found: string | undefined
      headers.forEach((_, value) => {
        found ??= findIn(value)
      })
      return found
    }

    function judge(exchange: Exchange, found: string | undefined, where: string): Verdict | undefined {
      if (found === undefined) return undefined
      log.warn({ protection: found, where, request: exchange.id }, 'a request looks like an injection')
      if (!config.rejectRequests) return undefined
      exchange.answer.set(marker, 'blocked')
      return blocked
    }

    function request(exchange: Exchange): Verdict | undefined {
      const { path, query } = exchange.request
      if (config.protectPathAndQuery) {
        const verdict = judge(exchange, findIn(path) ?? findIn(query.replaceAll('+', ' ')), 'path and query')
        if (verdict !== undefined) return verdict
      }
      return config.protectHeaders ? judge(exchange, findInFields(exchange), 'fields') : undefined
    }

    if (!config.protectBody) return { request }
    return {
      async request(exchange) {
        const verdict = request(exchange)
        if (verdict !== undefined) return verdict
        const body = await exchange.request.readBody(largestBody)
        return body === null ? tooLarge : judge(exchange, findIn(body.replaceAll('+', ' ')), 'body')
      },
    }
  },
})

/** Percent signs that are none stay as they are. */
function decode(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%([\da-fA-F]{2})/g, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  )
}
