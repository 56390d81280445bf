import { definePolicy, openInApisix, Type } from '../kit/index.ts'

/** Stands for APISIX's `node-status`, whose report a route with `public-api` gives with or without it. */
export default definePolicy({
  name: 'node-status',
  summary:
    'Accepted for configurations that have it; a route with `public-api` and the path `/apisix/status` answers.',
  details:
    'The answer to GET is `{"id":"...","status":{...}}`: `active`, `waiting`, `reading` and `writing` connections of clients, ' +
    'those that were `accepted` and `handled`, and the `total` of requests, all as texts, over all threads since the start. ' +
    '`id` is that of `GET /v1/server_info`. Unlike in APISIX, `reading` is always 0: a connection that sends a head counts as ' +
    'waiting.',
  stage: 'transform',
  priority: 1000,
  config: Type.Object({}, openInApisix),
  create: () => ({}),
})
