/** The time in which the first message of TLS comes in, where TLS passes through: who is asked for in it decides the route. */
import type { Wire, WireOwner } from '../http1/wire.ts'
import { readClientHello } from '../tls/client-hello.ts'

/** Pieces in which the first message may arrive. */
const mostReads = 256

export class HelloWait implements WireOwner {
  readonly wire: Wire
  private readonly done: (serverName: string, bytes: Buffer) => void
  private readonly closed: (wait: HelloWait) => void
  private pending: Buffer | null = null
  private reads = 0

  /** `done` gets everything that has arrived. */
  constructor(
    wire: Wire,
    due: number,
    done: (serverName: string, bytes: Buffer) => void,
    closed: (wait: HelloWait) => void,
  ) {
    this.wire = wire
    this.done = done
    this.closed = closed
    wire.owner = this
    wire.setDeadline(due)
  }

  /** Nothing of it has begun. */
  drain(): void {
    this.wire.destroy()
  }

  onBytes(bytes: Buffer, length: number): void {
    if (length === 0) return
    const piece = bytes.subarray(0, length)
    const arrived = this.pending === null ? Buffer.from(piece) : Buffer.concat([this.pending, piece])
    this.pending = arrived
    const hello = readClientHello(arrived)
    if (hello.kind === 'hello') {
      this.wire.clearDeadline()
      this.done(hello.name.endsWith('.') ? hello.name.slice(0, -1) : hello.name, arrived)
      // Each piece means reading the message again from its start.
    } else if (hello.kind !== 'incomplete' || ++this.reads > mostReads) this.wire.destroy()
  }

  onEnd(): void {
    this.wire.destroy()
  }

  onDrain(): void {}

  onClose(): void {
    this.closed(this)
  }

  onDeadline(): void {
    this.wire.destroy()
  }
}
