import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'
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

/** Listeners that need a port which none of the current ones has. */
export function listenersOnNewPorts(
  current: readonly ListenerSettings[],
  wanted: readonly ListenerSettings[],
): ListenerSettings[] {
  const taken = new Set(current.map(portOf))
  return wanted.filter((listener) => !taken.has(portOf(listener)))
}

const portOf = ({ protocol, port }: ListenerSettings) => `${protocol === 'udp' ? 'udp' : 'tcp'} ${port}`

async function assertFree({ host, port, protocol }: ListenerSettings): Promise<void> {
  const taken =
    protocol === 'udp' ? await isTakenByDatagrams(host, port) : await isTaken(reachable(host), port)
  if (!taken) return
  const message = `listen EADDRINUSE: address already in use ${host}:${port}`
  throw Object.assign(new Error(message), { code: 'EADDRINUSE', address: host, port })
}

/** Nobody answers to a datagram, so that the port is taken for a moment. */
function isTakenByDatagrams(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'EADDRINUSE'))
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve(false)))
  })
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
