import { isDeepStrictEqual } from 'node:util'
import { definePolicy, type Exchange, queryValues, Type } from '../kit/index.ts'
import { Session } from './session.ts'
import { sessions } from './sessions.ts'

/** Bytes of a message of a client. */
const largestMessage = 4 * 1024 * 1024

/** Configuration and answers of APISIX's `mcp-bridge`. */
export default definePolicy({
  name: 'mcp-bridge',
  summary:
    'Shows a program that speaks MCP over its standard input and output to clients, as server-sent events.',
  details:
    '`GET BASE_URI/sse` starts the program for that client and streams what it says; the first event names the address to ' +
    'which the client posts its messages. Other requests are answered with 404. APISIX has deprecated its policy of this ' +
    'name.\n\n' +
    'The program runs with the rights of the gateway, so that only those which `gateway.commands` names can be started, and ' +
    'only by configuration that stands in files: anything else is a finding. There is no shell, and of the environment it ' +
    'gets no more than `PATH`, `HOME`, `LANG`, `TMPDIR` and `TZ`. When its client goes, the configuration of the policy ' +
    'changes or the gateway ends in whatever way, its standard input is closed; two seconds later it is killed, and so is ' +
    'whatever it has started.\n\n' +
    'Unlike in APISIX, a message is taken from the consumer alone that opened the session, an unknown session is answered ' +
    'with 404, a message that is no JSON with 400, one that the program does not read with 503; beyond `max_sessions` the ' +
    'answer is 503. What the program writes to its standard error goes to the log (100 lines of a session) and not to the ' +
    'client.',
  stage: 'authorize',
  priority: 510,
  answers: () => true,
  config: Type.Object(
    {
      base_uri: Type.String({
        default: '',
        pattern: '^(/[!-~]*[!-.0-~])?$',
        description: 'What the paths of the two addresses begin with.',
        'x-form': 'a path that does not end with a slash',
        'x-apisix': { pattern: undefined, minLength: 1 },
      }),
      command: Type.String({ minLength: 1, 'x-command': true, description: 'Program that is started.' }),
      args: Type.Optional(Type.Array(Type.String(), { description: 'Its arguments.' })),
      max_sessions: Type.Integer({
        minimum: 1,
        maximum: 1000,
        default: 16,
        description: 'Programs that a thread runs at once, of all such policies.',
      }),
    },
    { 'x-apisix': { additionalProperties: undefined, properties: { max_sessions: undefined } } },
  ),
  create({ base_uri: base, command, args = [], max_sessions: most }, host) {
    const messages = new WeakMap<Exchange, string>()

    const { routeId } = host.binding

    async function open(exchange: Exchange) {
      // To explain a request, nothing is started.
      if (!host.mayAsk) return { status: 200 }
      if (sessions.size >= most) return { status: 503, body: { error_msg: 'too many sessions' } }
      const configured = host.configOf(routeId)
      try {
        const session = await Session.open({
          command,
          args,
          endpoint: `${base}/message`,
          owner: exchange.consumer?.username ?? '',
          log: host.log,
          isWanted: () => isDeepStrictEqual(host.configOf(routeId), configured),
          gone: (one) => sessions.delete(one),
        })
        sessions.add(session)
        return { status: 200, relay: session }
      } catch (error) {
        host.log.error({ reason: (error as Error).message }, 'a program of mcp-bridge cannot be started')
        return { status: 500 }
      }
    }

    return {
      async request(exchange) {
        const { method, path } = exchange.request
        if (method !== 'POST' || path !== `${base}/message`) return undefined
        const body = await exchange.request.readBody(largestMessage)
        if (body === null) return { status: 413 }
        const message = inOneLine(Buffer.from(body, 'latin1').toString())
        if (message === undefined) return { status: 400 }
        messages.set(exchange, message)
      },
      async serve(exchange) {
        const { path, method, query } = exchange.request
        if (path === `${base}/sse` && method === 'GET') return open(exchange)
        const message = messages.get(exchange)
        if (message === undefined) return { status: 404 }
        if (!host.mayAsk) return { status: 202 }
        const [id = ''] = queryValues(query, 'sessionId')
        const taken = await sessions.send(id, exchange.consumer?.username ?? '', message)
        if (taken === undefined) return { status: 404 }
        return { status: taken ? 202 : 503 }
      },
    }
  },
})

/** A line is a message, so that the ends of lines in it, which JSON has between values alone, go. Undefined: it is no JSON. */
function inOneLine(text: string): string | undefined {
  try {
    JSON.parse(text)
    return text.replaceAll(/[\r\n]+/g, ' ')
  } catch {
    return undefined
  }
}
