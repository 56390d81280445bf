/**
 * Loaded before a gateway (`node --import`), it puts its wall clock right or wrong by as many milliseconds as stand in the
 * file that CLOCK_OFFSET names, from one moment to the next. Monotonic time goes on as it does when somebody sets a clock.
 */
import { readFileSync } from 'node:fs'

const file = process.env.CLOCK_OFFSET!
const RealDate = Date
const now = () => RealDate.now() + Number(readFileSync(file, 'latin1'))

globalThis.Date = new Proxy(RealDate, {
  construct: (target, values, made) =>
    Reflect.construct(target, values.length === 0 ? [now()] : values, made) as object,
  apply: () => new RealDate(now()).toString(),
  get: (target, name, receiver) => (name === 'now' ? now : (Reflect.get(target, name, receiver) as unknown)),
})
