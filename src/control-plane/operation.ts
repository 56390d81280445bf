/** One operation of the control plane's API: what it takes, who may ask, what it does. Everything that is published about it comes from here. */
import type { IncomingMessage } from 'node:http'
import type { Answer } from '../admin/api/answer.ts'
import type { ApiRequest } from '../admin/api/request.ts'
import type { Static, TSchema } from '../config/type.ts'
import type { Principal, Scope } from './accounts.ts'
import type { ControlPlane } from './control-plane.ts'
import type { Registration } from './registrations.ts'

/** `public`: anybody; `gateway`: who shows the certificate of a registration; else who has this scope. */
export type Access = 'public' | 'gateway' | 'signed-in' | Scope

export interface Call<Query, Body> {
  plane: ControlPlane
  request: ApiRequest
  incoming: IncomingMessage
  /** Parts of the path that stand in braces. */
  params: Readonly<Record<string, string>>
  query: Query
  body: Body
  /** Who asks, where they said it. */
  principal: Principal | undefined
  /** Of the client certificate, where there is one that counts. */
  registration: Registration | undefined
  /** For the audit log and as author of changes. */
  who: string
}

export interface Operation<Query extends TSchema = TSchema, Body extends TSchema = TSchema> {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** `/api/gateway_groups/{id}` */
  path: string
  /** A sentence without its full stop. */
  summary: string
  /** Part of the reference. */
  area: string
  access: Access
  /** Parameters of the query, as the properties of an object. */
  query?: Query
  /** JSON. */
  body?: Body
  /** The body may be absent. */
  bodyIsOptional?: boolean
  /** What a good answer is. */
  answer: { status: number; text: string; type?: string }
  run(call: Call<Static<Query>, Static<Body>>): Answer | Promise<Answer>
}

/** With the types of its schemas known to `run`. */
export function operation<Query extends TSchema, Body extends TSchema>(
  definition: Operation<Query, Body>,
): Operation {
  return definition as unknown as Operation
}
