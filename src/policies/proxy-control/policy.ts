import { definePolicy, openInApisix, Type } from '../kit/index.ts'

/** What is held of a body before its request goes on. */
const mostHeld = 1024 * 1024

/** How a request goes on; configuration of APISIX's `proxy-control`. */
export default definePolicy({
  name: 'proxy-control',
  summary: 'Says whether a request body is read to its end before the request goes on.',
  details:
    'With `request_buffering` a body of up to 1 MiB is there before the upstream hears of the request, so that a slow ' +
    'client takes no connection to it. APISIX writes larger ones to a file; here they go on piece by piece, with ' +
    'back-pressure, as all do without this policy.',
  stage: 'transform',
  priority: 21990,
  config: Type.Object(
    {
      request_buffering: Type.Boolean({
        default: true,
        description: 'Read the body before the request goes on.',
      }),
    },
    openInApisix,
  ),
  create({ request_buffering }) {
    if (!request_buffering) return {}
    return {
      request({ request }) {
        if (request.contentLength === 0 || request.contentLength > mostHeld) return undefined
        return request.readBody(mostHeld).then(() => undefined)
      },
    }
  },
})
