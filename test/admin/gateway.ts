/** A gateway with an Admin API, and a client of it. */
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { freePort, startGateway } from '../harness/gateway.ts'

export const adminKey = 'key-of-the-admin-tests'

export interface AdminAnswer {
  status: number
  headers: Headers
  text: string
  /** Of the text, when it is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it by hand.
  body: any
}

export interface AdminGateway {
  /** Origin of the traffic listener. */
  traffic: string
  /** Of the Admin API, up to and with `/apisix/admin`. */
  api: string
  /** `path` follows `/apisix/admin`. A body that is no string goes out as JSON. */
  admin(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<AdminAnswer>
  output(): string
  /** Changes its configuration, has it read again, and waits for that line of the log. */
  reload(change: (text: string) => string, line: string): Promise<void>
  /** Ends the process at once. */
  kill(): void
  stop(): Promise<void>
}

export const viewerKey = 'key-of-who-only-looks'

/**
 * `more` are further lines of `sluice.yaml`: what stands under `gateway:` two columns in, then other sections.
 * `settings` are further fields of `gateway.admin`, in braces' style.
 */
export async function startAdminGateway(t: TestContext, more = '', settings = ''): Promise<AdminGateway> {
  const adminPort = await freePort()
  const dataFolder = more.includes('data_dir:') ? '' : '  data_dir: ":memory:"\n'
  const gateway = await startGateway(
    (port) => `gateway:
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  workers: 2
  control: { enabled: false }
  metrics: { enabled: false }
  admin:
    { port: ${adminPort}, keys: [{ name: tests, key: ${adminKey} }, { role: viewer, key: ${viewerKey} }], ${settings} }
${dataFolder}${more}`,
  )
  t.after(() => gateway.stop())
  const origin = `http://127.0.0.1:${adminPort}/apisix/admin`
  await listening(origin)
  return {
    traffic: `http://127.0.0.1:${gateway.port}`,
    api: origin,
    async admin(method, path, body, headers = {}) {
      const response = await fetch(origin + path, {
        method,
        headers: { 'x-api-key': adminKey, ...headers },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, text, body: parsed(text) }
    },
    output: gateway.output,
    async reload(change, line) {
      const known = gateway.output().length
      await writeFile(gateway.file, change(await readFile(gateway.file, 'utf8')))
      process.kill(gateway.pid, 'SIGHUP')
      while (!gateway.output().slice(known).includes(line)) await setTimeout(20)
    },
    kill: () => process.kill(gateway.pid, 'SIGKILL'),
    stop: gateway.stop,
  }
}

/** The listener of the Admin API opens last. */
async function listening(origin: string): Promise<void> {
  for (;;) {
    const up = await fetch(origin, { method: 'HEAD' }).catch(() => undefined)
    if (up !== undefined) return
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** An upstream that answers with its name. */
export async function startNamed(t: TestContext, name: string): Promise<number> {
  const server = createServer((_, response) => response.end(name))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}
