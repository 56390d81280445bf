/** What may come of a case. Each outcome says what stands in its way, so that a failure explains itself. */
import { fieldValue, type Message } from '../harness/message-reader.ts'
import type { ReceivedRequest } from '../harness/scripted-upstream.ts'
import type { Outcome, Run } from './wire-case.ts'

export const fromOrigin = (message: Message): boolean => fieldValue(message, 'x-origin') !== undefined
export const completeRequests = (run: Run): ReceivedRequest[] =>
  run.requests.filter((request) => request.complete)
const closedBy = (run: Run): string => (run.client.closed ? ` (${run.client.closed})` : ' (open)')

interface Refusal {
  codes?: number[]
  /** The connection may stay open. */
  open?: boolean
  /** Closing without an answer is not enough. */
  spoken?: boolean
  /** Requests before the refused one that may have arrived. */
  upstream?: number
}

/** The gateway answers 4xx or 5xx itself, or just closes, and nothing complete reaches the upstream. */
export function refused({ codes, open = false, spoken = false, upstream = 0 }: Refusal = {}): Outcome {
  return {
    label: `refused${codes ? ` with ${codes.join('/')}` : ''}`,
    judge(run) {
      const answer = run.client.answers[upstream]
      if (!answer) {
        if (!run.client.closed) return 'no answer and connection left open'
        if (spoken) return 'closed without an answer'
      } else {
        if (fromOrigin(answer)) return `answer ${answer.status} came from the upstream`
        if (codes ? !codes.includes(answer.status) : answer.status < 400) return `status ${answer.status}`
      }
      const arrived = completeRequests(run).length
      if (arrived > upstream) return `${arrived} complete request(s) reached the upstream`
      return open || run.client.closed ? null : 'connection left open after the refusal'
    },
  }
}

interface Forwarding {
  /** Complete requests at the upstream. */
  count?: number
  body?: string
  status?: number
  /** The connection must end after the answer. */
  close?: boolean
  label?: string
  check?: (request: ReceivedRequest, answer: Message, run: Run) => string | null
}

/** The request arrives and the upstream's answer comes back. */
export function forwarded(options: Forwarding = {}): Outcome {
  const { count = 1, body, status = 200, close = false, label = 'forwarded', check } = options
  return {
    label,
    judge(run) {
      const answer = run.client.answers.find((message) => message.complete)
      if (!answer) return `no complete answer${closedBy(run)}`
      if (!fromOrigin(answer)) return `answer ${answer.status} is not the upstream's`
      if (answer.status !== status) return `status ${answer.status}, not ${status}`
      const arrived = completeRequests(run)
      if (arrived.length !== count)
        return `${arrived.length} complete request(s) at the upstream, not ${count}`
      const [request] = arrived
      if (!request) return null
      const text = request.body.toString('latin1')
      if (body !== undefined && text !== body)
        return `body at the upstream: ${JSON.stringify(text.slice(0, 80))}`
      if (close && !run.client.closed) return 'connection left open after this answer'
      return check?.(request, answer, run) ?? null
    },
  }
}

/** A complete answer with one of these statuses, whoever made it. */
export function answered(
  codes: number[] | ((status: number) => boolean),
  check?: (answer: Message, run: Run) => string | null,
  at = 0,
): Outcome {
  return {
    label: `answer ${typeof codes === 'function' ? '' : codes.join('/')}`,
    judge(run) {
      const answer = run.client.answers[at]
      if (!answer?.complete) return `no complete answer${closedBy(run)}`
      const fits = typeof codes === 'function' ? codes(answer.status) : codes.includes(answer.status)
      if (!fits) return `status ${answer.status}`
      return check?.(answer, run) ?? null
    },
  }
}

/** An answer that cannot be trusted becomes the gateway's own 5xx; breaking off is allowed where the head was out already. */
export const badGateway: Outcome = {
  label: 'bad gateway',
  judge(run) {
    const [answer] = run.client.answers
    if (!answer) return run.client.closed ? null : 'no answer and connection left open'
    if (answer.status < 500) return `status ${answer.status}${fromOrigin(answer) ? " of the upstream's" : ''}`
    if (fromOrigin(answer)) return `the upstream's ${answer.status} was passed on`
    return answer.complete || run.client.closed ? null : 'unfinished 5xx on an open connection'
  },
}

/** The client can tell that something is missing. */
export const truncated: Outcome = {
  label: 'truncated',
  judge(run) {
    const answer = run.client.answers.at(-1)
    if (!answer) return run.client.closed ? null : 'no answer'
    if (answer.status >= 500 && answer.complete && !fromOrigin(answer)) return null
    if (!run.client.closed) return 'connection left open with an unfinished answer'
    if (!answer.complete) return null
    if (answer.framing === 'close' && run.client.closed === 'reset') return null
    return `the client saw a clean end (framing ${answer.framing})`
  },
}

/** Nothing complete has arrived and nothing was answered. */
export const waiting: Outcome = {
  label: 'waiting',
  judge(run) {
    const [answer] = run.client.answers
    if (answer) return `status ${answer.status}`
    return completeRequests(run).length > 0 ? 'a complete request reached the upstream' : null
  },
}

export function that(label: string, judge: (run: Run) => string | null): Outcome {
  return { label, judge }
}

export function both(...outcomes: Outcome[]): Outcome {
  return {
    label: outcomes.map((outcome) => outcome.label).join(' and '),
    judge(run) {
      for (const outcome of outcomes) {
        const problem = outcome.judge(run)
        if (problem) return problem
      }
      return null
    },
  }
}
