/** What Lua in a configuration becomes as a function in TypeScript: a skeleton, and what its calls are called here. */

/** What a phase of APISIX takes: the type of the function, and its body. */
const shapes: Readonly<Record<string, readonly [type: string, body: string]>> = {
  header_filter: ['ResponseFunction', 'exchange.answer.set(NAME, VALUE)'],
  body_filter: ['BodyFunction', 'return { write: (piece) => piece }'],
  log: ['LogFunction', 'host.log.info({ status: exchange.response.status }, TEXT)'],
}
const exitShape = ['ExitFunction', 'return { ...answer, status: STATUS, body: BODY }'] as const
const requestShape = ['RequestFunction', 'return { status: 403, body: TEXT }'] as const

/** Calls of Lua, and what says the same. The first that begins alike counts. */
const calls: readonly (readonly [lua: RegExp, here: string])[] = [
  [/core\.request\.set_header|ngx\.req\.set_header/, 'exchange.request.headers.set(NAME, VALUE)'],
  [
    /core\.request\.header\b|core\.request\.headers|ngx\.req\.get_headers/,
    'exchange.request.headers.get(NAME)',
  ],
  [/core\.response\.set_header|ngx\.header/, 'exchange.answer.set(NAME, VALUE)'],
  [/core\.request\.get_body|ngx\.req\.get_body_data/, 'await exchange.request.readBody(BYTES)'],
  [/ngx\.req\.set_uri_args|core\.request\.set_uri_args/, 'exchange.request.setQuery(QUERY)'],
  [/ngx\.req\.set_uri\b/, 'exchange.request.setPath(PATH)'],
  [/ngx\.(say|print|exit)|core\.response\.exit|return\s+\d{3}/, 'return { status, body }'],
  [/ngx\.var|ctx\.var/, 'host.variable(NAME)(exchange)'],
  [/ngx\.log|core\.log/, 'host.log.info(FIELDS, TEXT)'],
  [/ctx\.consumer/, 'exchange.consumer'],
]

export function portedLua(source: string, phase = 'access'): string {
  const isExit = phase === 'exit'
  const [type, body] = isExit ? exitShape : (shapes[phase] ?? requestShape)
  const skeleton =
    `import type { ${type} } from 'sluice-gateway/policy-kit'; ` +
    `export default ((${isExit ? 'answer, ' : ''}exchange, host) => { ${body} }) satisfies ${type}`
  const used = calls.filter(([lua]) => lua.test(source)).map(([, here]) => here)
  const instead = used.length === 0 ? '' : ` What it calls is here: ${used.join('; ')}.`
  return `Write a file such as functions/port.ts: \`${skeleton}\`, and name it: functions: [./functions/port.ts].${instead} docs/guides/serverless.md has the phases.`
}
