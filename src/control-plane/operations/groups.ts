/** Gateway groups, as API7 has them, and the tokens with which gateways join them. */
import { randomUUID } from 'node:crypto'
import { Type } from '../../config/type.ts'
import { defaultGroup } from '../control-plane.ts'
import type { GatewayGroup } from '../groups.ts'
import { operation } from '../operation.ts'
import { Problem } from '../problem.ts'

const area = 'Gateway groups'

const name = () => Type.String({ minLength: 1, maxLength: 100 })
const fields = {
  description: Type.Optional(Type.String({ maxLength: 65_536 })),
  labels: Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: 65_536 }))),
  enforce_service_publishing: Type.Optional(
    Type.Boolean({ description: 'Changes wait until somebody publishes them. Default: false.' }),
  ),
}

export const groupOperations = [
  operation({
    method: 'GET',
    path: '/api/gateway_groups',
    summary: 'The gateway groups',
    area,
    access: 'Read Servers',
    query: Type.Object({
      name: Type.Optional(Type.String({ description: 'Exactly this one.' })),
      search: Type.Optional(Type.String({ description: 'Part of the name.' })),
      page: Type.Optional(Type.Integer({ minimum: 1, default: 1 })),
      page_size: Type.Optional(Type.Integer({ minimum: 1, maximum: 500 })),
    }),
    answer: { status: 200, text: '`list` and `total`.' },
    run({ plane, principal, query }) {
      const { name: wanted, search = '', page = 1, page_size: size } = query
      const found = plane.groups.records
        .all()
        .filter(({ id }) => principal?.group === undefined || principal.group === id)
        .filter((group) => (wanted === undefined || group.name === wanted) && group.name.includes(search))
        .sort((a, b) => a.created_at - b.created_at)
      const list = size === undefined ? found : found.slice((page - 1) * size, page * size)
      return { status: 200, body: { list: list.map(shown), total: found.length } }
    },
  }),
  operation({
    method: 'POST',
    path: '/api/gateway_groups',
    summary: 'A new gateway group',
    area,
    access: 'Manage Servers',
    body: Type.Object({
      id: Type.Optional(
        Type.String({ pattern: '^[a-zA-Z0-9-_.]+$', maxLength: 256, description: 'Default: a UUID.' }),
      ),
      name: name(),
      type: Type.Optional(Type.Enum(['api7_gateway'])),
      ...fields,
    }),
    answer: { status: 201, text: '`value`: the group.' },
    async run({ plane, principal, body, who }) {
      if (principal?.group !== undefined) throw new Problem(403, 'this key is for one gateway group')
      const { id = randomUUID(), description = '', labels = {}, enforce_service_publishing = false } = body
      const group = { id, name: body.name, description, labels, enforce_service_publishing }
      return { status: 201, body: { value: shown(await plane.groups.add(group, who)) } }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/gateway_groups/{group}',
    summary: 'One gateway group',
    area,
    access: 'Read Servers',
    answer: { status: 200, text: '`value`: the group.' },
    run({ plane, params }) {
      plane.groupNamed(params.group!)
      return { status: 200, body: { value: shown(plane.groups.records.get(params.group!)!) } }
    },
  }),
  operation({
    method: 'PUT',
    path: '/api/gateway_groups/{group}',
    summary: 'Change a gateway group',
    area,
    access: 'Manage Servers',
    body: Type.Object({ name: Type.Optional(name()), ...fields }),
    answer: { status: 200, text: '`value`: the group.' },
    async run({ plane, params, body }) {
      const group = plane.groupNamed(params.group!)
      const taken = plane.groups.records
        .all()
        .some((other) => other.id !== params.group && other.name === body.name)
      if (taken) throw new Problem(409, `there is a gateway group ${body.name} already`)
      const value = plane.groups.update(params.group!, body as Partial<GatewayGroup>)
      await group.catchUp()
      return { status: 200, body: { value: shown(value) } }
    },
  }),
  operation({
    method: 'DELETE',
    path: '/api/gateway_groups/{group}',
    summary: 'Remove a gateway group with its configuration; it must have no gateways',
    area,
    access: 'Manage Servers',
    answer: { status: 200, text: 'Done.' },
    async run({ plane, params }) {
      const id = params.group!
      plane.groupNamed(id)
      if (id === defaultGroup) throw new Problem(400, 'the default gateway group stays')
      if (plane.registrations.registrations.all().some(({ group }) => group === id)) {
        throw new Problem(409, 'the gateway group has gateways: remove their registrations first')
      }
      const { registrations, accounts } = plane
      for (const { id: token, group } of registrations.tokens.all()) {
        if (group === id) registrations.removeToken(token)
      }
      for (const [hash, { group }] of [...accounts.keys.entries()])
        if (group === id) accounts.keys.remove(hash)
      await plane.groups.remove(id)
      return { status: 200, body: '' }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/gateway_groups/{group}/admin_key',
    summary: 'Whether the group has an admin key of its own; what it is, is not kept',
    area,
    access: 'Manage Access',
    answer: { status: 200, text: '`value` with the key’s last change.' },
    run({ plane, params }) {
      plane.groupNamed(params.group!)
      const found = plane.accounts.keys.all().find(({ group }) => group === params.group)
      if (found === undefined) throw new Problem(404, 'the gateway group has no admin key')
      return { status: 200, body: { value: { ...found, key: 'a7adm-********' } } }
    },
  }),
  operation({
    method: 'PUT',
    path: '/api/gateway_groups/{group}/admin_key',
    summary: 'A new admin key for the group in place of the one before; it is shown this once',
    area,
    access: 'Manage Access',
    answer: { status: 200, text: '`value` with `key`.' },
    run({ plane, params }) {
      const group = params.group!
      plane.groupNamed(group)
      for (const [hash, entry] of [...plane.accounts.keys.entries()]) {
        if (entry.group === group) plane.accounts.keys.remove(hash)
      }
      const { key, entry } = plane.accounts.addKey({ name: `group ${group}`, role: 'admin', group })
      return { status: 200, body: { value: { ...entry, key } } }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/gateway_groups/{group}/instance_tokens',
    summary: 'Registration tokens that are still good, without what they are',
    area,
    access: 'Read Servers',
    answer: { status: 200, text: '`list` and `total`.' },
    run({ plane, params }) {
      plane.groupNamed(params.group!)
      const list = plane.registrations.tokens
        .all()
        .filter(({ group, expires }) => group === params.group && expires > plane.now())
      return { status: 200, body: { list, total: list.length } }
    },
  }),
  operation({
    method: 'POST',
    path: '/api/gateway_groups/{group}/instance_tokens',
    summary: 'A registration token for one gateway and 24 hours; it is shown this once',
    area,
    access: 'Manage Servers',
    query: Type.Object({
      only_token: Type.Optional(Type.Boolean({ description: 'Answer with nothing but the token.' })),
    }),
    answer: { status: 201, text: '`value` with `token`, and the command that takes it.' },
    run({ plane, params, query, who }) {
      const group = params.group!
      plane.groupNamed(group)
      const { token, entry } = plane.registrations.addToken(group, who)
      if (query.only_token === true) return { status: 201, body: token }
      return {
        status: 201,
        body: { value: { ...entry, token, command: registerCommand(plane.urls.platform, token) } },
      }
    },
  }),
  operation({
    method: 'POST',
    path: '/standalone/api/v1/organizations/{organization}/environments/{environment}/gatewaytokens',
    summary: 'A registration token for the default group, as Anypoint’s Runtime Manager gives them',
    area,
    access: 'Manage Servers',
    answer: { status: 201, text: '`registrationToken`.' },
    run({ plane, params, principal, who }) {
      plane.assertOrganization(params.organization!)
      plane.assertEnvironment(params.environment!)
      const { token } = plane.registrations.addToken(principal?.group ?? defaultGroup, who)
      return { status: 201, body: { registrationToken: token } }
    },
  }),
  operation({
    method: 'DELETE',
    path: '/api/gateway_groups/{group}/instance_tokens/{id}',
    summary: 'Take back a registration token',
    area,
    access: 'Manage Servers',
    answer: { status: 200, text: 'Done.' },
    run({ plane, params }) {
      const found = plane.registrations.tokens.all().find(({ id }) => id === params.id)
      if (found?.group !== params.group) throw new Problem(404, `there is no token ${params.id}`)
      plane.registrations.removeToken(params.id!)
      return { status: 200, body: '' }
    },
  }),
]

/** To be pasted on the machine of the gateway. */
export const registerCommand = (platform: string, token: string): string =>
  `sluice register my-gateway --token=${token} --control-plane=${platform} --connected=true --output-directory=.`

const shown = (group: GatewayGroup) => ({ ...group, short_id: group.id })
