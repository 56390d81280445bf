/**
 * Takes what a socket's handle reads without the stream machinery in between, which asks the socket for four properties
 * and a timer with every read. Node offers no public way to this either, so the conditions of `direct-write.ts` hold: known
 * versions only, and everywhere else the socket's own `onread` does the same.
 */
import type net from 'node:net'
import { internalsAreKnown } from './direct-write.ts'

interface ReadHandle {
  /** Called by the handle with each read; what it returns is the buffer for the next one. */
  onread: (this: ReadHandle, piece: ArrayBuffer | undefined) => Uint8Array | undefined
}

interface StreamBinding {
  /** What the last event of any stream of this thread said. */
  readonly streamBaseState: Int32Array
  /** Where in it the length of a read stands; below zero for an error or the end. */
  readonly kReadBytesOrError: number
}

const binding = internalsAreKnown ? streamBinding() : null

/**
 * From now on `take` gets each read of a socket that was made with `onread`; the end and errors go the usual way.
 * `take` returns the buffer for the next read, or undefined to fill the same one again. A socket that is destroyed takes
 * its handle's `onread` away at once, so that nothing is read after that.
 */
export function readDirectly(socket: net.Socket, take: (length: number) => Buffer | undefined): void {
  const handle = (socket as unknown as { _handle: ReadHandle | null })._handle
  if (binding === null || typeof handle?.onread !== 'function') return
  const { streamBaseState: state, kReadBytesOrError: length } = binding
  const usual = handle.onread
  handle.onread = (piece) => {
    const read = state[length] as number
    return read > 0 ? take(read) : usual.call(handle, piece)
  }
}

function streamBinding(): StreamBinding | null {
  const { binding: load } = process as unknown as { binding?: (name: string) => StreamBinding }
  if (typeof load !== 'function') return null
  try {
    const found = load('stream_wrap')
    const sound = found.streamBaseState instanceof Int32Array && Number.isInteger(found.kReadBytesOrError)
    return sound ? found : null
  } catch {
    return null
  }
}
