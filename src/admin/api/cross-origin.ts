/**
 * Lets pages of other sites use the Admin API, such as dashboards that are served elsewhere: what a browser wants to
 * hear (the fields are those of APISIX). They need a key that they send themselves; see `admission.ts` for cookies.
 */
import type { Answer } from './answer.ts'

const always = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Credentials': 'true',
  'Access-Control-Max-Age': '3600',
}

/** Beside those of the answer itself. */
export const crossOriginFields = { ...always, 'Access-Control-Expose-Headers': '*' }

/** The answer to OPTIONS. */
export const preflightAnswer: Answer = {
  status: 200,
  headers: {
    ...always,
    'Access-Control-Allow-Methods': 'POST, GET, PUT, OPTIONS, DELETE, PATCH',
    'Access-Control-Allow-Headers': '*',
  },
}
