/** Runs functions of an operator in the phases of APISIX, as handlers of a policy. */
import type {
  BodyFilter,
  Exchange,
  HeaderBlock,
  PolicyHandlers,
  Stage,
  Verdict,
} from '../../../proxy/exchange.ts'
import { headerBlock } from '../../../proxy/headers.ts'
import type { PolicyHost } from '../host.ts'
import type {
  BodyFunction,
  FunctionAnswer,
  FunctionResult,
  LogFunction,
  OwnFunction,
  RequestFunction,
  ResponseFunction,
} from './own-function.ts'

export const phases = ['rewrite', 'access', 'header_filter', 'body_filter', 'log', 'before_proxy'] as const
export type Phase = (typeof phases)[number]

/** In which pass the functions of a phase run; those of answers in none. */
export const stageOf = (phase: Phase): Stage => (phase === 'rewrite' ? 'transform' : 'limit')

/** Handlers that run the functions one after another, until one of them answers. */
export function handlersOf(
  phase: Phase,
  functions: readonly OwnFunction[],
  host: PolicyHost,
): PolicyHandlers {
  switch (phase) {
    case 'rewrite':
    case 'access':
      return { request: inTurn(functions as readonly RequestFunction[], host) }
    case 'before_proxy':
      return { serve: inTurn(functions as readonly RequestFunction[], host) }
    case 'header_filter':
      return { respond: forEach(functions as readonly ResponseFunction[], host) }
    case 'body_filter':
      return { respond: filtersOf(functions as readonly BodyFunction[], host) }
    case 'log':
      return { observe: forEach(functions as readonly LogFunction[], host) }
  }
}

type Asked = (exchange: Exchange) => Verdict | undefined | Promise<Verdict | undefined>

function inTurn(functions: readonly RequestFunction[], host: PolicyHost): Asked {
  const runFrom = (first: number, exchange: Exchange): ReturnType<Asked> => {
    for (let i = first; i < functions.length; i++) {
      const result = functions[i]!(exchange, host)
      if (result instanceof Promise) return goOn(result, i + 1, exchange)
      const verdict = verdictOf(result)
      if (verdict !== undefined) return verdict
    }
    return undefined
  }
  const goOn = async (pending: Promise<FunctionResult>, next: number, exchange: Exchange) =>
    verdictOf(await pending) ?? runFrom(next, exchange)
  return (exchange) => runFrom(0, exchange)
}

function forEach(
  functions: readonly ((exchange: Exchange, host: PolicyHost) => unknown)[],
  host: PolicyHost,
) {
  const tell = (error: unknown) =>
    host.log.error(
      { policy: host.binding.policy, error: String(error) },
      'a function failed after it was asked',
    )
  return (exchange: Exchange) => {
    for (const run of functions) {
      const result = run(exchange, host)
      // Nobody waits for it, and nobody else would hear of its failure.
      if (result instanceof Promise) result.catch((error: unknown) => tell(error))
    }
  }
}

function filtersOf(functions: readonly BodyFunction[], host: PolicyHost) {
  return (exchange: Exchange): BodyFilter | undefined => {
    const filters = functions.map((run) => run(exchange, host)).filter((filter) => filter !== undefined)
    return filters.length > 1 ? chained(filters as BodyFilter[]) : (filters[0] as BodyFilter | undefined)
  }
}

/** What one gives back, the next one gets. */
function chained(filters: readonly BodyFilter[]): BodyFilter {
  const passFrom = async (first: number, given: Buffer | undefined) => {
    let piece = given
    for (let i = first; i < filters.length && piece !== undefined; i++) piece = await filters[i]!.write(piece)
    return piece
  }
  return {
    write: (piece) => passFrom(0, piece),
    async end() {
      const last: Buffer[] = []
      for (const [index, filter] of filters.entries()) {
        const piece = await passFrom(index + 1, await filter.end?.())
        if (piece !== undefined) last.push(piece)
      }
      return last.length > 0 ? Buffer.concat(last) : undefined
    },
  }
}

/** @throws TypeError when it is no answer */
export function verdictOf(result: FunctionResult): Verdict | undefined {
  if (result === undefined || result === null) return undefined
  const { status, body, headers, contentType } = result as FunctionAnswer
  if (!isStatus(status)) throw new TypeError('a function gave back something that is no answer')
  return {
    status,
    ...(body !== undefined && { body: checkedBody(body) }),
    ...(headers !== undefined && { headers: blockOf(headers) }),
    ...(contentType !== undefined && { contentType: fieldValue(contentType) }),
  }
}

export const isStatus = (status: unknown): status is number =>
  Number.isInteger(status) && (status as number) >= 200 && (status as number) <= 599

/** @throws TypeError */
export function checkedBody(body: unknown): NonNullable<Verdict['body']> {
  if (typeof body === 'string' || (typeof body === 'object' && body !== null && !Buffer.isBuffer(body)))
    return body as NonNullable<Verdict['body']>
  throw new TypeError('the body of an answer is a text, or an object that is sent as JSON')
}

/** @throws TypeError */
export function fieldValue(value: unknown): string {
  if (typeof value === 'string' && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)) return value
  throw new TypeError('the value of a field holds characters that it may not')
}

/** @throws InvalidHeaderError */
export function blockOf(headers: NonNullable<FunctionAnswer['headers']>): HeaderBlock {
  if (typeof (headers as HeaderBlock).text === 'string' && Array.isArray((headers as HeaderBlock).names))
    return headers as HeaderBlock
  const lines = Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().map((value) => [name, String(value)] as const),
  )
  return headerBlock(lines)
}
