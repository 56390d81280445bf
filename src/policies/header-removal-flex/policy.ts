import {
  compileSearch,
  definePolicy,
  type Exchange,
  type HeaderName,
  headerName,
  type Search,
  Type,
} from '../kit/index.ts'

/** What a message cannot be without. */
const kept = new Set([
  'accept',
  'host',
  'content-type',
  'content-length',
  'date',
  'transfer-encoding',
  'connection',
])

const names = (description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { maxItems: 100, default: [], description })

/** Configuration of the Flex policy of that name. */
export default definePolicy({
  name: 'header-removal-flex',
  summary: 'Takes fields away from requests and from answers, by name or by expression.',
  details:
    'A name is compared without regard to case; anything with other characters is an expression for the whole name. ' +
    '`Accept`, `Host`, `Content-Type`, `Content-Length`, `Date`, `Transfer-Encoding` and `Connection` stay.',
  stage: 'transform',
  priority: 1005,
  config: Type.Object(
    {
      inboundHeaders: names('From requests.'),
      outboundHeaders: names('From answers.'),
    },
    { additionalProperties: false },
  ),
  validate({ inboundHeaders, outboundHeaders }) {
    for (const [list, entries] of [
      ['inboundHeaders', inboundHeaders],
      ['outboundHeaders', outboundHeaders],
    ] as const) {
      for (const [index, text] of entries.entries()) {
        if (isName(text)) continue
        const search = compileSearch(wholeName(text), true)
        if ('problem' in search) return `${list}.${index}: the expression ${search.problem}`
      }
    }
    return undefined
  },
  create({ inboundHeaders, outboundHeaders }) {
    const fromRequests = removalOf(inboundHeaders)
    const fromAnswers = removalOf(outboundHeaders)
    return {
      ...(inboundHeaders.length > 0 && {
        request({ request }: Exchange) {
          fromRequests(request.headers, request.headers)
        },
      }),
      ...(outboundHeaders.length > 0 && {
        respond({ response, answer }: Exchange) {
          fromAnswers(response.headers, answer)
        },
      }),
    }
  },
})

type Fields = Exchange['response']['headers']
type Edits = Pick<Exchange['answer'], 'remove'>

function removalOf(texts: readonly string[]): (fields: Fields, edits: Edits) => void {
  const plain: HeaderName[] = []
  const searches: Search[] = []
  for (const text of texts) {
    if (isName(text)) {
      if (!kept.has(text.toLowerCase())) plain.push(headerName(text))
      continue
    }
    const search = compileSearch(wholeName(text), true)
    if (!('problem' in search)) searches.push(search)
  }
  return (fields, edits) => {
    for (const name of plain) edits.remove(name)
    if (searches.length === 0) return
    const found = new Set<string>()
    fields.forEach((name) => {
      if (!kept.has(name.toLowerCase()) && searches.some((search) => search.matches(name))) found.add(name)
    })
    for (const name of found) edits.remove(name)
  }
}

function isName(text: string): boolean {
  return /^[\w-]+$/.test(text)
}

function wholeName(text: string): string {
  return `^(?:${text})$`
}
