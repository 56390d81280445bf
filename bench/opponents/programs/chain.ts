import { createWriteStream } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { clientApplications, credentialLine } from '../../clients.ts'
import { accessLog, chainName } from './assignment.ts'

/**
 * The everyday policies as a careful author would write them by hand for one service:
 * credential lookup, fixed-window limit, CORS fields, latency histogram, JSON access log in batches.
 */
export interface Chain {
  /** Sets the answer's fields. False: the request was answered here. */
  admit(request: IncomingMessage, response: ServerResponse): boolean
}

/** Null when there is nothing to do but forward. */
export function chain(): Chain | null {
  if (chainName === 'none') return null
  const field = chainName === 'key-auth' ? 'apikey' : 'authorization'
  const callers = new Map(
    clientApplications.map((it) => {
      const line = credentialLine(it, chainName === 'key-auth' ? 'key' : 'basic')
      return [line.slice(line.indexOf(': ') + 2), it.id]
    }),
  )
  const log = accessLog === '' ? undefined : createWriteStream(accessLog)
  let lines = ''
  if (log !== undefined)
    setInterval(() => {
      log.write(lines)
      lines = ''
    }, 100)

  return {
    admit(request, response) {
      const began = performance.now()
      const presented = request.headers[field]
      const caller = typeof presented === 'string' ? callers.get(presented) : undefined
      response.setHeader('Access-Control-Allow-Origin', '*')
      response.setHeader('Access-Control-Allow-Methods', '*')
      response.setHeader('Access-Control-Allow-Headers', '*')
      if (caller === undefined) return refuse(response, 401)
      const remaining = count(caller)
      response.setHeader('X-RateLimit-Limit', limit)
      response.setHeader('X-RateLimit-Remaining', Math.max(remaining, 0))
      if (remaining < 0) return refuse(response, 429)
      response.on('finish', () => {
        const elapsed = performance.now() - began
        observe(elapsed)
        if (log === undefined) return
        const { method, url } = request
        const entry = {
          time: new Date().toISOString(),
          method,
          url,
          status: response.statusCode,
          caller,
          elapsed,
        }
        lines += `${JSON.stringify(entry)}\n`
      })
      return true
    },
  }
}

const limit = 100_000_000
const windows = new Map<string, { ends: number; used: number }>()

function count(caller: string): number {
  const now = Date.now()
  let window = windows.get(caller)
  if (window === undefined || window.ends <= now) {
    window = { ends: now + 60_000, used: 0 }
    windows.set(caller, window)
  }
  window.used++
  return limit - window.used
}

const bounds = [5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000]
const buckets = new Float64Array(bounds.length + 1)

function observe(milliseconds: number): void {
  const index = bounds.findIndex((bound) => milliseconds <= bound)
  buckets[index === -1 ? bounds.length : index]! += 1
}

function refuse(response: ServerResponse, status: number): false {
  response.writeHead(status).end()
  return false
}
