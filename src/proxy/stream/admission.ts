/** Whether a session may go on, and where to: its route, what the policies of the route say, and its upstream. */
import { clock } from '../clock.ts'
import type { Engine } from '../engine.ts'
import { errors, type GatewayError } from '../errors.ts'
import type { UpstreamConnection } from '../http1/upstream-connection.ts'
import { type Answer, type Chain, runHooks, runPass } from '../pipeline.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { StreamSession } from './session.ts'
import type { StreamBinding } from './stream-routes.ts'

/** Who waits for the decision. */
export interface Applicant {
  readonly session: StreamSession
  /** False once the session is over. */
  readonly isOpen: boolean
  admitted(upstream: Upstream<UpstreamConnection>): void
  /** The session is over, with this status. */
  refused(status: number): void
}

/** Decides at once, or when the policies of the route have. */
export function admit(applicant: Applicant, binding: StreamBinding, engine: Engine): void {
  const { session } = applicant
  session.binding = binding
  const { second } = binding.chain()
  const answer = second === null ? null : runPass(second, session, engine)
  if (answer instanceof Promise) {
    answer.then((late) => {
      clock.tick()
      if (applicant.isOpen) decided(applicant, late, engine)
    })
  } else decided(applicant, answer, engine)
}

function decided(applicant: Applicant, answer: Answer | null, engine: Engine): void {
  const { session } = applicant
  if (answer !== null) {
    session.rejectedBy = answer.policy
    if (answer.error !== undefined) refuse(applicant, answer.error)
    else applicant.refused(refusalStatus(answer.verdict.status))
    return
  }
  const binding = session.binding as StreamBinding
  const upstream =
    session.chosenUpstream === '' ? binding.upstream : engine.runtime.upstream(session.chosenUpstream)
  if (upstream === null) refuse(applicant, errors.noUpstream)
  else applicant.admitted(upstream)
}

export function refuse(applicant: Applicant, error: GatewayError): void {
  applicant.session.errorCode = error.code
  applicant.refused(refusalStatus(error.status))
}

/** The codes that nginx has for sessions, as APISIX counts them. */
const sessionStatuses: ReadonlySet<number> = new Set([400, 403, 500, 502, 503])

function refusalStatus(status: number): number {
  if (sessionStatuses.has(status)) return status
  if (status === 504) return 502
  return status >= 400 && status < 500 ? 400 : 500
}

/** Tells those who observe that the session is over; once. */
export function observe(session: StreamSession, chain: Chain | undefined, engine: Engine): void {
  session.end = clock.now
  if (chain !== undefined && chain.observe !== null) runHooks(chain.observe, session, engine)
}
