import { createServer } from 'node:net'
import type { ListenerSettings } from '../config/settings.ts'

/**
 * Rejects with EADDRINUSE when somebody listens on one of the ports already. Data threads could not tell: they share
 * their ports with SO_REUSEPORT, so a second gateway of the same user would silently take half of the traffic.
 */
export async function assertPortsFree(listeners: readonly ListenerSettings[]): Promise<void> {
  await Promise.all(listeners.filter(({ port }) => port !== 0).map(tryPort))
}

async function tryPort({ host, port }: ListenerSettings): Promise<void> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port, exclusive: true }, resolve)
  })
  await new Promise((resolve) => server.close(resolve))
}
