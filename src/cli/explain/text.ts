/** An explanation for people. */
import type { SourcePosition } from '../../config/provenance.ts'
import type {
  ExplainedCandidate,
  ExplainedHealth,
  ExplainedPolicy,
  ExplainedProperty,
  ExplainedUpstream,
  Explanation,
} from '../../proxy/explain/explanation.ts'
import { textTable } from '../text-table.ts'

export function explanationText(explanation: Explanation): string {
  const { policies, upstream } = explanation
  return [
    `${explanation.request.method} ${explanation.request.target}\n`,
    facts(explanation),
    looked(explanation),
    ...(policies.length > 0
      ? [`policies, in the order of their turn\n${policies.map(policy).join('')}`]
      : []),
    ...(upstream !== null ? [upstreamText(upstream)] : []),
    outcome(explanation),
  ]
    .filter((part) => part !== '')
    .join('\n')
}

function facts({ listener, client, request, route, service, consumer }: Explanation): string {
  const { name, host, port, chosen } = listener
  const how = chosen === 'other' ? ': none has that name, or the port of the URL' : ''
  const via = client.address === client.peer ? '' : ` behind ${client.peer}, which is trusted`
  const rows = [
    ['listener', `${name} on ${host}:${port}${how}`],
    ['client', `${client.address}${via}`],
  ]
  if (request.path !== '') {
    const query = request.query === '' ? '' : `, query ${request.query}`
    rows.push(['host', request.host === '' ? 'none' : request.host], ['path', `${request.path}${query}`])
  }
  if (route !== null) {
    const under = [route.host, route.path].filter(Boolean).join('')
    rows.push(['route', `${titled(route)}${under === '' ? '' : ` as ${under}`}${at(route.source)}`])
  }
  if (service !== null) rows.push(['service', `${titled(service)}${at(service.source)}`])
  if (consumer !== null) {
    const credential = consumer.credential === '' ? '' : `, credential ${consumer.credential}`
    rows.push(['consumer', `${consumer.username}${credential}`])
  }
  return textTable(rows)
}

function looked({ candidates, other_hosts: others, hints, route, request, stream }: Explanation): string {
  const lost = candidates.filter(({ why }) => why.length > 0)
  const parts: string[] = []
  if (route === null && (request.path !== '' || stream === true)) parts.push('no route takes it\n')
  if (lost.length > 0) parts.push(`looked at before\n${lost.map(candidate).join('')}`)
  if (others.length > 0) parts.push(`of other hosts\n${others.map(candidate).join('')}`)
  if (hints.length > 0) parts.push(`nearly\n${indented(hints)}`)
  return parts.join('\n')
}

function candidate({ route, host, path, priority, why, source }: ExplainedCandidate): string {
  const before = priority === 0 ? '' : `, priority ${priority}`
  const lines = why.map((reason) => `    ${reason}\n`).join('')
  const as = host + path === '' ? '' : ` as ${host}${path}`
  return `  ${titled(route)}${as}${before}${at(source)}\n${lines}`
}

const verdicts: Readonly<Record<ExplainedPolicy['verdict'], string>> = {
  passes: 'lets it pass',
  answers: 'answers',
  'would answer': 'would answer, but only watches',
  fails: 'fails',
  'not evaluated': 'not evaluated',
  skipped: 'skipped: its filter does not hold',
  'not reached': 'not reached',
  'no say': 'has no say in it',
  off: 'off',
}

function policy(explained: ExplainedPolicy): string {
  const {
    name,
    owner,
    replaces,
    stage,
    priority,
    phases,
    verdict,
    notes,
    answer,
    source,
    properties = [],
  } = explained
  const also = phases.filter((phase) => phase !== 'request')
  const lines = [
    `  ${name === '' ? 'the gateway' : name}: ${verdicts[verdict]}${answer === undefined ? '' : ` ${answerText(answer)}`}`,
    ...notes.map((note) => `    ${note}`),
    `    of ${owner.replace(':', ' ')}${at(source)}, stage ${stage}, priority ${priority}`,
    ...(replaces.length > 0
      ? [`    in place of that of ${replaces.map((other) => other.replace(':', ' ')).join(', ')}`]
      : []),
    ...(also.length > 0 ? [`    also takes part in ${also.map(phaseName).join(', ')}`] : []),
    ...propertyLines(properties),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

const phaseName = (phase: string) => (phase === 'requestBody' ? 'the request body' : phase)

function propertyLines(properties: readonly ExplainedProperty[]): string[] {
  const written = properties.filter(({ source }) => source !== undefined)
  const defaults = properties.filter(({ source }) => source === undefined)
  const shown = (list: readonly ExplainedProperty[]) =>
    list.map(({ path, value }) => `${path} ${JSON.stringify(value)}`).join(', ')
  return [
    ...written.map(({ path, value, source }) => `    ${path}: ${JSON.stringify(value)}${at(source)}`),
    ...(defaults.length > 0 ? [`    by default: ${shown(defaults)}`] : []),
  ]
}

function upstreamText({
  key,
  type,
  hash,
  pass_host,
  retries,
  timeout,
  endpoints,
  all_used: allUsed,
  next,
  source,
}: ExplainedUpstream): string {
  const { connect, send, read } = timeout
  const hashed = hash === undefined ? '' : `, by ${hash.on}: ${JSON.stringify(hash.key)}`
  const rows = endpoints.map(({ address, weight, priority, usable, active, resolved, health = [] }) => [
    `  ${address}`,
    `weight ${weight}`,
    ...(priority === 0 ? [] : [`priority ${priority}`]),
    ...(usable ? [] : ['not usable']),
    ...(active === 0 ? [] : [`${active} under way`]),
    ...(resolved.length > 0 ? [`resolves to ${resolved.join(', ')}`] : []),
    ...health.map(healthText),
    ...(address === next ? ['next'] : []),
  ])
  return [
    `${upstreamTitle(key)}${at(source)}: ${type}${hashed}\n`,
    `  pass_host ${pass_host}, ${retries} retries, timeouts ${connect} s to connect, ${send} s to send, ${read} s to read\n`,
    textTable(rows),
    ...(allUsed ? ['  too few of them are healthy: all are used\n'] : []),
  ].join('')
}

function healthText({ state, ejected, last_failure: failure }: ExplainedHealth): string {
  return `${state}${ejected ? ', ejected' : ''}${failure === null ? '' : ` (last failure: ${failure})`}`
}

/** By its own id, or by the resource in which it is written. */
function upstreamTitle(key: string): string {
  const title = key.replace(':', ' ')
  return key.startsWith('upstream:') ? title : `upstream of ${title}`
}

function outcome({ outcome, answer_fields: fields, stream }: Explanation): string {
  if (stream === true && outcome.kind === 'failed')
    return `closed with the status ${outcome.status}, without a byte\n`
  const answer = fields.length === 0 ? '' : `\nfields of the answer\n${indented(fields)}`
  return outcomeText(outcome) + answer
}

const indented = (lines: readonly string[]) => lines.map((line) => `  ${line}\n`).join('')

function outcomeText(outcome: Explanation['outcome']): string {
  switch (outcome.kind) {
    case 'refused':
      return `refused with ${outcome.status} (${outcome.code}): ${outcome.why}\n`
    case 'answered':
      return `answered by ${outcome.by === '' ? 'the gateway' : outcome.by} with ${answerText(outcome)}\n`
    case 'failed':
      return `answered by the gateway with ${outcome.status} (${outcome.code})\n`
    case 'forwarded':
      return `forwarded as\n${indented(outcome.head)}`
  }
}

function answerText({ status, body }: { status: number; body?: unknown }): string {
  if (body === undefined || body === '') return String(status)
  return `${status} ${typeof body === 'string' ? body.trim() : JSON.stringify(body)}`
}

function titled({ id, name }: { id: string; name?: string }): string {
  return name === undefined || name === id ? id : `${id} (${name})`
}

function at(source: SourcePosition | undefined): string {
  if (source === undefined) return ''
  return source.line === undefined ? `  (${source.file})` : `  (${source.file}:${source.line})`
}
