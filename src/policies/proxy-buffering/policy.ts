import { definePolicy, openInApisix, Type } from '../kit/index.ts'

/** Stands for APISIX's `proxy-buffering`, of which this gateway has no need. */
export default definePolicy({
  name: 'proxy-buffering',
  summary: 'Accepted for configurations that have it: answers are never buffered.',
  details: 'Every piece of an answer goes on as it comes, and a slow client slows the upstream down.',
  stage: 'transform',
  priority: 21_991,
  config: Type.Object(
    { disable_proxy_buffering: Type.Boolean({ default: false, description: 'Without effect.' }) },
    openInApisix,
  ),
  create: () => ({}),
})
