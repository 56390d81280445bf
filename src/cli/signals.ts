/**
 * The signals that a running gateway obeys. Each has a handler of its own, because as process 1 of a container a process
 * gets only the signals that it handles.
 */

export interface SignalOrders {
  /** SIGHUP. */
  reload(): void
  /** SIGUSR2; SIGUSR1 belongs to the debugger of Node.js. */
  reopenLogs(): void
}

export interface Signals {
  /** SIGTERM or SIGINT came. */
  readonly stop: Promise<void>
  /** It came again: somebody does not want to wait. */
  readonly stopNow: Promise<void>
  /** From here on signals have their usual effect. */
  close(): void
}

export function watchSignals(orders: SignalOrders): Signals {
  const stop = Promise.withResolvers<void>()
  const stopNow = Promise.withResolvers<void>()
  let stops = 0
  const onStop = () => {
    stops++
    if (stops === 1) stop.resolve()
    else stopNow.resolve()
  }
  const handlers: [NodeJS.Signals, () => void][] = [
    ['SIGTERM', onStop],
    ['SIGINT', onStop],
    ['SIGHUP', () => orders.reload()],
    ['SIGUSR2', () => orders.reopenLogs()],
  ]
  for (const [signal, handler] of handlers) process.on(signal, handler)
  return {
    stop: stop.promise,
    stopNow: stopNow.promise,
    close() {
      for (const [signal, handler] of handlers) process.off(signal, handler)
    },
  }
}
