import { definePolicy, openInApisix, Type } from '../kit/index.ts'

/** Stands for APISIX's `server-info`, whose report the control endpoint gives with or without it. */
export default definePolicy({
  name: 'server-info',
  summary:
    'Accepted for configurations that have it; `GET /v1/server_info` on the control port always answers.',
  details:
    'The report holds `boot_time` in seconds, `hostname`, `id`, `version` and `etcd_version`, which is `unknown`: ' +
    'there is no etcd.',
  stage: 'transform',
  priority: 990,
  config: Type.Object({}, openInApisix),
  create: () => ({}),
})
