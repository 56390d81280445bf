import { definePolicy, openInApisix, Type, type Verdict } from '../kit/index.ts'

const notFound: Verdict = { status: 404 }

/** What the gateway shows of itself, on a route; configuration and behaviour of APISIX's `public-api`. */
export default definePolicy({
  name: 'public-api',
  summary: 'Lets clients reach an endpoint of the gateway itself through a route, behind its other policies.',
  details:
    'There are the metrics, at the path that `gateway.prometheus` names (`/apisix/prometheus/metrics`). Without `uri` ' +
    'the path of the request is the endpoint; where there is none the answer is 404. It runs once the caller is known, ' +
    'so that authentication comes first. Endpoints without such a route are not reachable for clients at all.',
  stage: 'authorize',
  priority: 501,
  answers: () => true,
  config: Type.Object(
    {
      uri: Type.Optional(
        Type.String({ description: 'Path of the endpoint, where it is not that of the route.' }),
      ),
    },
    openInApisix,
  ),
  create({ uri }, host) {
    const named = uri === undefined ? undefined : host.publicApi(uri)
    return {
      request(exchange) {
        const endpoint = uri === undefined ? host.publicApi(exchange.request.path) : named
        return endpoint === undefined ? notFound : endpoint(exchange)
      },
    }
  },
})
