import { haproxy } from './haproxy.ts'
import { nginx } from './nginx.ts'
import { nodeProgram } from './node-program.ts'
import type { Opponent } from './opponent.ts'
import { sluice } from './sluice.ts'

/** Everyone that can be measured; nginx is the unit. */
export const opponents: readonly Opponent[] = [
  nginx,
  sluice,
  haproxy,
  nodeProgram('fastify-http-proxy', '@fastify/http-proxy'),
  nodeProgram('http-proxy-3', 'http-proxy-3'),
]
