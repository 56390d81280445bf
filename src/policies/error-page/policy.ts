import { definePolicy, headerName, openInApisix, Type } from '../kit/index.ts'

const contentType = headerName('Content-Type')

const page = (reason: string) => `<html>
<head><title>${reason}</title></head>
<body>
<center><h1>${reason}</h1></center>
</body>
</html>`

const shape = (body?: string) =>
  Type.Object(
    {
      body: Type.Optional(
        Type.String({ description: 'The page.', ...(body !== undefined && { default: body }) }),
      ),
      content_type: Type.Optional(Type.String({ default: 'text/html', description: 'Its type.' })),
    },
    { ...openInApisix, description: 'Page for that status.' },
  )

interface Page {
  body?: string
  content_type: string
}

/** Pages for the gateway's own errors; configuration and behaviour of APISIX's `error-page`. */
export default definePolicy({
  name: 'error-page',
  summary: 'Gives the errors that the gateway answers by itself, 404 and above, pages of one’s own.',
  details:
    'The pages stand in `plugin_metadata`, and count while `enable` is true; a status without a page, or with an empty ' +
    'one, keeps what it has. Answers of upstreams are not touched. Unlike in APISIX, every status from 404 to 599 can ' +
    'have a page by its name, `error_405` for example.',
  stage: 'transform',
  priority: 450,
  config: Type.Object({}, openInApisix),
  metadata: Type.Object(
    {
      enable: Type.Boolean({ default: false, description: 'Whether the pages are used.' }),
      error_404: Type.Optional(shape(page('404 Not Found'))),
      error_500: Type.Optional(shape(page('500 Internal Server Error'))),
      error_502: Type.Optional(shape(page('502 Bad Gateway'))),
      error_503: Type.Optional(shape(page('503 Service Unavailable'))),
    },
    {
      ...openInApisix,
      patternProperties: { '^error_(40[4-9]|4[1-9][0-9]|5[0-9][0-9])$': shape() },
    },
  ),
  create(_, { metadata }) {
    if (metadata?.enable !== true) return {}
    const pages = new Map<number, { body: Buffer; type: string }>()
    for (const [name, value] of Object.entries(metadata as Record<string, unknown>)) {
      const status = /^error_(\d{3})$/.exec(name)?.[1]
      const { body = '', content_type: type } = value as Page
      if (status !== undefined && body !== '') pages.set(Number(status), { body: Buffer.from(body), type })
    }
    return {
      respond({ response, answer }) {
        if (response.fromUpstream) return undefined
        const found = pages.get(response.status)
        if (found === undefined) return undefined
        answer.set(contentType, found.type)
        return { write: () => undefined, end: () => found.body }
      },
    }
  },
})
