import { connect } from 'node:net'
import type { ListenerSettings } from '../config/settings.ts'

/** A listener that does not answer a connect within this time, in milliseconds, is taken for none. */
const patience = 500

/**
 * Rejects with EADDRINUSE when somebody listens on one of the ports already. Data threads could not tell: they share
 * their ports with SO_REUSEPORT, so a second gateway of the same user would silently take half of the traffic.
 * It asks by connecting, because listening for a moment would take, and then reset, whoever connects just then.
 */
export async function assertPortsFree(listeners: readonly ListenerSettings[]): Promise<void> {
  await Promise.all(listeners.filter(({ port }) => port !== 0).map(assertFree))
}

async function assertFree({ host, port }: ListenerSettings): Promise<void> {
  if (!(await isTaken(reachable(host), port))) return
  const message = `listen EADDRINUSE: address already in use ${host}:${port}`
  throw Object.assign(new Error(message), { code: 'EADDRINUSE', address: host, port })
}

function isTaken(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const answer = (taken: boolean) => {
      socket.destroy()
      resolve(taken)
    }
    socket.setTimeout(patience, () => answer(false))
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
}

/** Any address of this machine is reached through its loopback address. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
