/** How much waits in this process for a slow reader before the other side is asked to stop. */
import type { Settings } from '../config/settings.ts'

/** Bytes of one connection, or of one stream where a connection has several. The same for all of a thread. */
export let highWater = 128 * 1024

/** From now on, for connections that are open as well. */
export function setHighWater({ limits }: Pick<Settings, 'limits'>): void {
  highWater = limits.connection_buffer
}
