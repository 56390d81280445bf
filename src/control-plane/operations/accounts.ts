/** Logins, and the users, applications and keys that there are. */
import { Type } from '../../config/type.ts'
import { paths } from '../../config-sync/protocol/index.ts'
import { type Principal, roles, scopes } from '../accounts.ts'
import { operation } from '../operation.ts'
import { Problem } from '../problem.ts'

const area = 'Access'

const granted = () =>
  Type.Optional(
    Type.Array(Type.Enum([...scopes]), {
      default: [...scopes],
      description: `What it may do: ${scopes.map((scope) => `\`${scope}\``).join(', ')}.`,
    }),
  )
const password = () =>
  Type.String({ minLength: 12, maxLength: 1024, description: 'At least twelve characters.' })

/** Nobody gives what they do not have. */
function assertOwn(principal: Principal | undefined, wanted: readonly string[]): void {
  const missing = wanted.find((scope) => !principal?.scopes.includes(scope))
  if (missing !== undefined) throw new Problem(403, `who does not have the scope ${missing} cannot give it`)
}

export const accountOperations = [
  operation({
    method: 'POST',
    path: paths.login,
    summary: 'An access token for a user',
    area,
    access: 'public',
    body: Type.Object({
      username: Type.String({ minLength: 1, maxLength: 256 }),
      password: Type.String({ minLength: 1, maxLength: 1024 }),
    }),
    answer: { status: 200, text: '`access_token`, valid for `expires_in` seconds.' },
    run: async ({ plane, request, body }) => ({
      status: 200,
      body: await plane.accounts.login(body.username, body.password, request.client),
    }),
  }),
  operation({
    method: 'POST',
    path: paths.token,
    summary: 'An access token for a connected application',
    area,
    access: 'public',
    body: Type.Object({
      client_id: Type.String({ minLength: 1, maxLength: 256 }),
      client_secret: Type.String({ minLength: 1, maxLength: 1024 }),
      grant_type: Type.Literal('client_credentials'),
    }),
    answer: { status: 200, text: '`access_token`, valid for `expires_in` seconds.' },
    run: async ({ plane, request, body }) => ({
      status: 200,
      body: await plane.accounts.grant(body.client_id, body.client_secret, request.client),
    }),
  }),
  operation({
    method: 'GET',
    path: '/accounts/api/me',
    summary: 'Who asks',
    area,
    access: 'signed-in',
    answer: { status: 200, text: 'The user, application or key, with its organization.' },
    run({ plane, principal }) {
      const { id, name, kind, scopes: own } = principal!
      const organization = { id: plane.organization, name: 'default' }
      return { status: 200, body: { user: { id, username: name, organization }, kind, scopes: own } }
    },
  }),
  operation({
    method: 'GET',
    path: '/accounts/api/organizations/{organization}/environments',
    summary: 'The environments of the organization; there is one',
    area,
    access: 'View Organization',
    answer: { status: 200, text: '`data` and `total`.' },
    run({ plane, params }) {
      plane.assertOrganization(params.organization!)
      const { organization, environment: id } = plane
      const data = [
        { id, name: 'default', organizationId: organization, isProduction: true, type: 'production' },
      ]
      return { status: 200, body: { data, total: 1 } }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/users',
    summary: 'The users',
    area,
    access: 'Manage Access',
    answer: { status: 200, text: '`list` and `total`.' },
    run({ plane }) {
      const list = plane.accounts.users.all().map(({ password: _, ...user }) => user)
      return { status: 200, body: { list, total: list.length } }
    },
  }),
  operation({
    method: 'POST',
    path: '/api/users',
    summary: 'A new user',
    area,
    access: 'Manage Access',
    body: Type.Object({
      username: Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\s]+$' }),
      password: password(),
      scopes: granted(),
    }),
    answer: { status: 201, text: '`value`: the user.' },
    async run({ plane, principal, body }) {
      const wanted = body.scopes ?? [...scopes]
      assertOwn(principal, wanted)
      const { password: _, ...user } = await plane.accounts.addUser(body.username, body.password, wanted)
      return { status: 201, body: { value: user } }
    },
  }),
  operation({
    method: 'PUT',
    path: '/api/users/{id}/password',
    summary: 'Another password; access tokens of the user end',
    area,
    access: 'Manage Access',
    body: Type.Object({ password: password() }),
    answer: { status: 200, text: 'Done.' },
    async run({ plane, principal, params, body }) {
      assertOwn(principal, plane.accounts.users.get(params.id!)?.scopes ?? [])
      await plane.accounts.setPassword(params.id!, body.password)
      return { status: 200, body: '' }
    },
  }),
  operation({
    method: 'DELETE',
    path: '/api/users/{id}',
    summary: 'Remove a user',
    area,
    access: 'Manage Access',
    answer: { status: 200, text: 'Done.' },
    run({ plane, params }) {
      plane.accounts.removeUser(params.id!)
      return { status: 200, body: '' }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/applications',
    summary: 'The connected applications',
    area,
    access: 'Manage Access',
    answer: { status: 200, text: '`list` and `total`.' },
    run({ plane }) {
      const list = plane.accounts.applications.all().map(({ secret: _, ...application }) => application)
      return { status: 200, body: { list, total: list.length } }
    },
  }),
  operation({
    method: 'POST',
    path: '/api/applications',
    summary: 'A new connected application; its secret is shown this once',
    area,
    access: 'Manage Access',
    body: Type.Object({ name: Type.String({ minLength: 1, maxLength: 256 }), scopes: granted() }),
    answer: { status: 201, text: '`value` with `client_id` and `client_secret`.' },
    async run({ plane, principal, body }) {
      const wanted = body.scopes ?? [...scopes]
      assertOwn(principal, wanted)
      const { secret: _, ...application } = await plane.accounts.addApplication(body.name, wanted)
      return { status: 201, body: { value: application } }
    },
  }),
  operation({
    method: 'DELETE',
    path: '/api/applications/{id}',
    summary: 'Remove a connected application',
    area,
    access: 'Manage Access',
    answer: { status: 200, text: 'Done.' },
    run({ plane, params }) {
      plane.accounts.removeApplication(params.id!)
      return { status: 200, body: '' }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/admin_keys',
    summary: 'The admin keys, without what they are',
    area,
    access: 'Manage Access',
    answer: { status: 200, text: '`list` and `total`.' },
    run({ plane }) {
      const list = plane.accounts.keys.all()
      return { status: 200, body: { list, total: list.length } }
    },
  }),
  operation({
    method: 'POST',
    path: '/api/admin_keys',
    summary: 'A new admin key; it is shown this once',
    area,
    access: 'Manage Access',
    body: Type.Object({
      name: Type.String({ minLength: 1, maxLength: 256 }),
      role: Type.Optional(Type.Enum(['admin', 'viewer'], { default: 'admin' })),
      gateway_group_id: Type.Optional(
        Type.String({ minLength: 1, description: 'The one group that it is for; absent: all.' }),
      ),
    }),
    answer: { status: 201, text: '`value` with `key`.' },
    run({ plane, principal, body }) {
      const { name, role = 'admin', gateway_group_id: group } = body
      assertOwn(principal, roles[role])
      if (group !== undefined) plane.groupNamed(group)
      const { key, entry } = plane.accounts.addKey({ name, role, ...(group !== undefined && { group }) })
      return { status: 201, body: { value: { ...entry, key } } }
    },
  }),
  operation({
    method: 'DELETE',
    path: '/api/admin_keys/{id}',
    summary: 'Remove an admin key',
    area,
    access: 'Manage Access',
    answer: { status: 200, text: 'Done.' },
    run({ plane, params }) {
      const found = [...plane.accounts.keys.entries()].find(([, { id }]) => id === params.id)
      if (found === undefined) throw new Problem(404, `there is no admin key ${params.id}`)
      plane.accounts.keys.remove(found[0])
      return { status: 200, body: '' }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/audit_logs',
    summary: 'Who changed what, the newest first',
    area,
    access: 'Manage Access',
    query: Type.Object({
      page: Type.Optional(Type.Integer({ minimum: 1, default: 1 })),
      page_size: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 100 })),
    }),
    answer: { status: 200, text: '`list` and `total`.' },
    run: ({ plane, query }) => ({
      status: 200,
      body: plane.audit.page(query.page ?? 1, query.page_size ?? 100),
    }),
  }),
]
