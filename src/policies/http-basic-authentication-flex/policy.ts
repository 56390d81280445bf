import { hash, timingSafeEqual } from 'node:crypto'
import { rejection } from '../kit/flex/rejection.ts'
import { definePolicy, readBasicCredentials, Type } from '../kit/index.ts'

/** One user name and password; configuration and answers of the Flex policy of that name. */
export default definePolicy({
  name: 'http-basic-authentication-flex',
  summary: 'Admits requests with one user name and password (HTTP Basic).',
  details:
    'A rejection is 401 with `WWW-Authenticate: Basic realm="mule-realm"` and an `{"error":"..."}`, the same for credentials ' +
    'that are missing, malformed or wrong. Both halves are compared in constant time. The upstream gets `Authorization` ' +
    'as the client sent it.',
  stage: 'identify',
  priority: 2519,
  config: Type.Object(
    {
      username: Type.String({ minLength: 1, description: 'The user name.' }),
      password: Type.String({ minLength: 1, description: 'The password.', 'x-secret': true }),
    },
    { additionalProperties: false },
  ),
  create({ username, password }) {
    const expected = digestOf(username, password)
    const rejected = rejection(
      401,
      'Registered authentication is set to HTTP basic authentication but there was no security context on the session.',
      'Basic realm="mule-realm"',
    )
    return {
      request({ request }) {
        const field = request.headers.get('authorization')
        const presented = field === undefined ? undefined : readBasicCredentials(field)
        if (presented === undefined) return rejected
        const isRight = timingSafeEqual(digestOf(presented.user, presented.password), expected)
        return isRight ? undefined : rejected
      },
    }
  },
})

/** Of equal length for any input. Credentials come with one character a byte; those of the configuration are UTF-8. */
function digestOf(username: string, password: string): Buffer {
  return hash('sha256', `${username}\0${password}`, 'buffer')
}
