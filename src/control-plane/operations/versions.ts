/** The history of a group's configuration: versions, differences, the way back, publication. */

import { hasErrors } from '../../config/problem.ts'
import { Type } from '../../config/type.ts'
import { as } from '../group-configuration.ts'
import type { Group } from '../groups.ts'
import type { Version } from '../history.ts'
import { type Call, operation } from '../operation.ts'
import { Problem } from '../problem.ts'

const area = 'Versions'
const message = () =>
  Type.Optional(Type.String({ maxLength: 1024, default: '', description: 'What it is for.' }))

const groupOf = ({ plane, params }: Pick<Call<unknown, unknown>, 'plane' | 'params'>): Group =>
  plane.groupNamed(params.group!)

export const versionOperations = [
  operation({
    method: 'GET',
    path: '/api/gateway_groups/{group}/versions',
    summary: 'Every change of the group’s configuration, the newest first',
    area,
    access: 'Read Configuration',
    query: Type.Object({
      below: Type.Optional(Type.Integer({ minimum: 1, description: 'Versions before this one.' })),
      page_size: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 100 })),
    }),
    answer: {
      status: 200,
      text: '`list` of versions with author, time and what they changed; `total`; `published`.',
    },
    run(call) {
      const group = groupOf(call)
      const { below, page_size: size = 100 } = call.query
      const list = group.configuration.history.list(size, below).map((version) => summary(version))
      return {
        status: 200,
        body: { list, total: group.version, published: group.publisher.current?.version ?? 0 },
      }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/gateway_groups/{group}/versions/{version}',
    summary: 'One version, with the resources before and after it',
    area,
    access: 'Manage Configuration',
    answer: { status: 200, text: '`value`: the version.' },
    run(call) {
      const version = groupOf(call).configuration.history.get(wholeNumber(call.params.version!))
      if (version === undefined) throw new Problem(404, `there is no version ${call.params.version}`)
      return { status: 200, body: { value: { ...summary(version), changes: version.changes.map(parsed) } } }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/gateway_groups/{group}/diff',
    summary: 'What differs between two versions, resource by resource',
    area,
    access: 'Manage Configuration',
    query: Type.Object({
      from: Type.Optional(
        Type.Integer({ minimum: 0, description: 'Default: the published version. 0: nothing.' }),
      ),
      to: Type.Optional(Type.Integer({ minimum: 0, description: 'Default: the newest version.' })),
    }),
    answer: { status: 200, text: '`from`, `to`, and `list` of resources with `before` and `after`.' },
    run(call) {
      const group = groupOf(call)
      const { from = group.publisher.current?.version ?? 0, to = group.version } = call.query
      for (const version of [from, to]) assertVersion(group, version)
      const list = group.configuration.history.between(from, to).map(parsed)
      return { status: 200, body: { from, to, list, total: list.length } }
    },
  }),
  operation({
    method: 'POST',
    path: '/api/gateway_groups/{group}/rollback',
    summary: 'Make the configuration what it was after a version, as a new version',
    area,
    access: 'Manage Configuration',
    body: Type.Object({
      version: Type.Integer({ minimum: 0, description: '0: nothing.' }),
      message: message(),
    }),
    answer: { status: 200, text: '`value` with the new version and the number of resources that changed.' },
    async run(call) {
      const group = groupOf(call)
      const { version, message: text = '' } = call.body
      assertVersion(group, version)
      const changes = await as({ author: call.who, message: text || `back to version ${version}` }, () =>
        group.configuration.goBack(version),
      )
      return { status: 200, body: { value: { version: group.version, changes } } }
    },
  }),
  operation({
    method: 'POST',
    path: '/api/gateway_groups/{group}/dry_run',
    summary: 'Whether gateways would take the newest version, or the resources that are sent',
    area,
    access: 'Read Configuration',
    body: Type.Object({
      resources: Type.Optional(
        Type.Record(Type.String(), Type.Unsafe<unknown>({}), {
          description: 'As in a file of a gateway; default: the newest version.',
        }),
      ),
    }),
    bodyIsOptional: true,
    answer: { status: 200, text: '`valid`, and `findings` with code, place, message and hint.' },
    async run(call) {
      const findings = await groupOf(call).findings(call.body?.resources)
      return {
        status: 200,
        body: { valid: !hasErrors(findings), findings: findings.slice(0, 100), total: findings.length },
      }
    },
  }),
  operation({
    method: 'POST',
    path: '/api/gateway_groups/{group}/publish',
    summary: 'Sign the newest version for the gateways of the group',
    area,
    access: 'Manage Configuration',
    body: Type.Object({ message: message() }),
    bodyIsOptional: true,
    answer: { status: 200, text: '`value` with the version in force; 422: it has errors, in `findings`.' },
    async run(call) {
      const value = await groupOf(call).publish(call.who, call.body?.message ?? '')
      return { status: 200, body: { value } }
    },
  }),
  operation({
    method: 'GET',
    path: '/api/gateway_groups/{group}/publications',
    summary: 'What was signed for the gateways of the group, the newest first',
    area,
    access: 'Read Configuration',
    answer: {
      status: 200,
      text: '`list` and `total`; `refused` says why the newest version is not among them.',
    },
    run(call) {
      const group = groupOf(call)
      const list = group.publisher.list(50)
      return {
        status: 200,
        body: { list, total: list.length, newest: group.version, refused: group.refused.slice(0, 100) },
      }
    },
  }),
]

const summary = ({ changes, ...version }: Version) => ({
  ...version,
  changes: changes.map(({ kind, id, before, after }) => ({
    kind,
    id,
    what: before === null ? 'added' : after === null ? 'removed' : 'changed',
  })),
})

const parsed = ({ kind, id, before, after }: Version['changes'][number]) => ({
  kind,
  id,
  before: before === null ? null : JSON.parse(before),
  after: after === null ? null : JSON.parse(after),
})

function assertVersion(group: Group, version: number): void {
  if (version > group.version) throw new Problem(404, `there is no version ${version}`)
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new Problem(404, `there is no version ${text}`)
  return Number(text)
}
