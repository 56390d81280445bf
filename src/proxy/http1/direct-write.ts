/**
 * Writes to a socket's handle without the stream machinery in between: nearly every write is taken by the kernel at once,
 * and then nothing has to be remembered about it. Node offers no public way to this, so it is used only in versions whose
 * internals are known; everywhere else `socket.write` does the same.
 */
import type net from 'node:net'

export interface DirectHandle {
  /** Bytes that the kernel has not taken yet. */
  readonly writeQueueSize: number
  /** @returns 0 when all was taken, a negative error number, or a write that goes on */
  writeLatin1String(request: null, text: string): number | PendingWrite
  writeBuffer(request: null, bytes: Uint8Array): number | PendingWrite
}

/** A write that the kernel has not taken completely. */
export interface PendingWrite {
  handle: DirectHandle
  /** Kept until the kernel has taken it. */
  buffer: unknown
  /** Set when it ended before anybody could listen. */
  writeStatus: number | null
  oncomplete: (status: number) => void
}

/** Since 26.10 a write needs no request object of the caller's; older versions would abort without one. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
export const internalsAreKnown = major === 26 && minor >= 10

/** The handle of a plain connected socket, where internals are known; null where writes have to go through the socket. */
export function directHandle(socket: net.Socket): DirectHandle | null {
  const handle = (socket as unknown as { _handle: DirectHandle | null })._handle
  return handle !== null && typeof handle.writeLatin1String === 'function' ? handle : null
}
