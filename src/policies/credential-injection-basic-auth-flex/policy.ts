import { definePolicy, headerName, headerNameProblem, Type } from '../kit/index.ts'

/** A user name and password for an upstream; configuration of the Flex policy of that name. */
export default definePolicy({
  name: 'credential-injection-basic-auth-flex',
  summary: 'Sends a user name and password (HTTP Basic) to the upstream.',
  details:
    'Without `overwrite`, credentials of the client go on where there are some. The field is `Authorization`, unless ' +
    '`customHeader` names another.',
  stage: 'transform',
  priority: 420,
  config: Type.Object(
    {
      username: Type.String({
        minLength: 1,
        pattern: '^[^:]*$',
        description: 'The user name.',
        'x-form': 'a text without a colon',
      }),
      password: Type.String({ description: 'The password.', 'x-secret': true }),
      overwrite: Type.Boolean({ default: true, description: 'Replace credentials of the client.' }),
      customHeader: Type.Optional(
        Type.String({ minLength: 1, description: 'Field in place of `Authorization`.' }),
      ),
    },
    { additionalProperties: false },
  ),
  validate({ customHeader }) {
    const problem = customHeader === undefined ? undefined : headerNameProblem(customHeader)
    return problem && `customHeader: ${problem}`
  },
  create({ username, password, overwrite, customHeader = 'Authorization' }) {
    const name = headerName(customHeader)
    const value = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
    return {
      request({ request: { headers } }) {
        if (overwrite || !headers.has(name.lower)) headers.set(name, value)
      },
    }
  },
})
