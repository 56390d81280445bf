import { definePolicy, openInApisix, Type, type Verdict } from '../kit/index.ts'

const tooLarge: Verdict = { status: 413 }

/** A limit for the size of requests; configuration and answers of APISIX's `client-control`. */
export default definePolicy({
  name: 'client-control',
  summary: 'Limits the size of request bodies.',
  details:
    'A body whose announced length is above the limit is rejected with 413 before anything of it goes on. One of ' +
    'unknown length (chunked) is stopped at the first byte beyond it; what came before may have reached the upstream, ' +
    'which then sees a request that is not complete.',
  stage: 'transform',
  priority: 22000,
  config: Type.Object(
    {
      max_body_size: Type.Optional(
        Type.Integer({ minimum: 0, description: 'Largest body, in bytes; 0: of any size.' }),
      ),
    },
    openInApisix,
  ),
  create({ max_body_size: limit = 0 }) {
    if (limit === 0) return {}
    return {
      request: ({ request }) => (request.contentLength > limit ? tooLarge : undefined),
      requestBody: ({ request }) => (request.bodyBytes > limit ? tooLarge : undefined),
    }
  },
})
