/** What an expression can speak of. */
import type { Value } from './values.ts'
import { View } from './values.ts'

/** The variables of one evaluation. Members are asked for only when an expression reads them. */
export interface Scope {
  /** Of the request, and in the response phase of the response too. */
  readonly attributes: View
  readonly authentication: View
  readonly vars: View
  /** The parsed body where it is JSON, else its text; null when there is none. */
  readonly payload: Value
}

/** Members of `attributes` in the request phase. */
export const requestAttributes: readonly string[] = [
  'clientAddress',
  'headers',
  'localAddress',
  'method',
  'queryParams',
  'queryString',
  'remoteAddress',
  'requestPath',
  'requestUri',
  'scheme',
  'version',
]

/** What there is in the response phase beside them. */
export const responseAttributes: readonly string[] = [...requestAttributes, 'statusCode']

export const authenticationMembers: readonly string[] = ['clientId', 'clientName', 'principal', 'properties']

/** A view without members. */
export class EmptyView extends View {
  override get(): Value {
    return null
  }

  override entries(): [string, Value][] {
    return []
  }
}

export const nothing = new EmptyView()
