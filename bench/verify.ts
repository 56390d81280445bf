import { existsSync, readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { clientApplications, credentialLine } from './clients.ts'
import { mebibyte, upstreamBody } from './site.ts'
import type { Traffic } from './traffic.ts'
import { credentialsOf, routeHost, routePath, type Work } from './work.ts'

/**
 * Proves before a measurement that a gateway does the work it is measured for.
 * Throws with what it answered otherwise.
 */
export async function verify(port: number, work: Work, traffic: Traffic): Promise<void> {
  const path = pathOf(work, traffic)
  const credentials = credentialsOf(work)
  const [field, value] = credentialLine(clientApplications.at(-1)!, credentials).split(': ')
  const host = routeHost(work.routes - 1, work.hosts)
  const identity = {
    ...(host !== undefined && { Host: host }),
    ...(field && value && { [field]: value, Origin: 'https://app.example.com' }),
  }

  const answer = await ask(port, path, identity, work.tls)
  if (answer.status !== 200)
    throw new Error(`GET ${path} gave ${answer.status}: ${answer.body.slice(0, 200)}`)
  const intact = traffic.target === 'object' ? answer.body.length === mebibyte : answer.body === upstreamBody
  if (!intact) throw new Error(`GET ${path} gave another body than the upstream sent`)
  if (work.chain === 'none') return

  if (answer.headers['access-control-allow-origin'] === undefined)
    throw new Error('no CORS fields in the answer')
  if (answer.headers['x-ratelimit-limit'] === undefined) throw new Error('no rate-limit fields in the answer')
  const stranger = await ask(port, path, {}, work.tls)
  if (stranger.status !== 401)
    throw new Error(`a request without credentials gave ${stranger.status}, not 401`)
}

/** Proves that a line was written for each request; lines may come in batches, so it looks for two seconds. */
export async function verifyLog(path: string, requests: number): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt++) {
    if (countLines(path) >= requests) return
    await sleep(100)
  }
  throw new Error(`the access log has ${countLines(path)} lines for ${requests} requests`)
}

function countLines(path: string): number {
  return existsSync(path) ? readFileSync(path, 'latin1').split('\n').length - 1 : 0
}

function pathOf(work: Work, traffic: Traffic): string {
  if (work.routes > 1) return routePath(work.routes - 1)
  return traffic.target === 'object' ? '/files/object-1m.bin' : '/api/users/7/orders?cursor=0'
}

interface Answer {
  status: number
  headers: NodeJS.Dict<string | string[]>
  body: string
}

function ask(port: number, path: string, headers: Record<string, string>, tls: boolean): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { request } = tls ? https : http
    const options = { port, path, headers, host: '127.0.0.1', timeout: 5_000, rejectUnauthorized: false }
    const outgoing = request(options, async (incoming) => {
      const chunks = await incoming.toArray()
      resolve({
        status: incoming.statusCode ?? 0,
        headers: incoming.headers,
        body: Buffer.concat(chunks).toString('latin1'),
      })
    })
    outgoing.once('timeout', () => outgoing.destroy(new Error(`GET ${path} took longer than 5 s`)))
    outgoing.once('error', reject).end()
  })
}
