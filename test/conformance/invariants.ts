/** What holds for every case, whatever its outcome. */
import { completeRequests } from './outcomes.ts'
import type { Run } from './wire-case.ts'

export function brokenInvariants(run: Run): string[] {
  const broken: string[] = []
  const except = new Set(run.case.except)
  const add = (name: string, detail: string) => {
    if (!except.has(name)) broken.push(`${name}: ${detail}`)
  }

  for (const request of run.requests) {
    if (request.target.includes('hidden')) add('smuggled', request.startLine)
    else if (!request.target.includes(run.path) && !run.case.targets?.test(request.target)) {
      add('foreign request', request.startLine.slice(0, 100))
    }
  }
  for (const finding of run.upstreamFindings) {
    if (finding.severity === 'ambiguous') add('bytes to the upstream', `${finding.rule} ${finding.detail}`)
  }
  for (const finding of run.client.findings) {
    if (finding.severity === 'ambiguous') add('bytes to the client', `${finding.rule} ${finding.detail}`)
  }
  const most = run.case.maxAnswers ?? run.case.methods?.length ?? 1
  if (run.client.answers.length > most) {
    add('extra answer', run.client.answers.map((answer) => answer.status).join(','))
  }
  if (run.client.received.includes('poison')) add('poison', 'junk of the upstream was delivered')

  const sent = new Map<string, number>()
  for (const { method, target } of run.requests) {
    if (method === 'POST' || method === 'PATCH') {
      sent.set(`${method} ${target}`, (sent.get(`${method} ${target}`) ?? 0) + 1)
    }
  }
  for (const [request, times] of sent) if (times > 1) add('sent twice', `${request} arrived ${times} times`)
  return broken
}

/** One line on what happened, for the message of a failure. */
export function describeRun(run: Run): string {
  const answers =
    run.client.answers.map((answer) => `${answer.status}${answer.complete ? '' : '…'}`).join(',') || 'none'
  const arrived = run.requests.map((request) => `${request.method} ${request.target.slice(0, 60)}`)
  const complete = completeRequests(run).length
  return `client: ${answers}, ${run.client.closed ?? 'open'}, ${run.client.milliseconds} ms; upstream: ${JSON.stringify(arrived)}, ${complete} complete`
}
