/** What gateways ask for: docs/reference/sync-protocol.md. */
import type { TLSSocket } from 'node:tls'
import { Type } from '../../config/type.ts'
import {
  acknowledgementSchema,
  bundleMediaType,
  heartbeatSchema,
  paths,
  registrationRequestSchema,
  renewalRequestSchema,
} from '../../config-sync/protocol/index.ts'
import { holderOn } from '../client-certificate.ts'
import { type Call, operation } from '../operation.ts'
import { Problem } from '../problem.ts'
import type { Held } from '../publisher.ts'

const area = 'Gateways'

const configurationQuery = Type.Object({
  version: Type.Optional(Type.Integer({ minimum: 0, description: 'What the gateway has.' })),
  sha256: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$', description: 'Hash of what it has.' })),
  issued: Type.Optional(Type.Integer({ minimum: 0, description: 'When that was issued.' })),
  wait: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 60,
      default: 0,
      description: 'Seconds that the answer may be held back.',
    }),
  ),
  whole: Type.Optional(Type.Integer({ minimum: 0, maximum: 1, default: 0, description: '1: no patch.' })),
})

export const syncOperations = [
  operation({
    method: 'GET',
    path: paths.trust,
    summary: 'The authority and the root keys that a gateway pins when it registers',
    area,
    access: 'public',
    answer: { status: 200, text: 'The trust document; a registration token has the hash of its bytes.' },
    run: ({ plane }) => ({
      status: 200,
      body: plane.keys.trust,
      headers: { 'Content-Type': 'application/json' },
    }),
  }),
  operation({
    method: 'POST',
    path: paths.registrations,
    summary: 'Register a gateway: a certificate for the key of its request',
    area,
    access: 'public',
    body: registrationRequestSchema,
    answer: { status: 201, text: 'The registration with its certificate.' },
    run: register,
  }),
  operation({
    method: 'POST',
    path: '/sync/v1/registrations/{id}/certificate',
    summary: 'Renew a certificate, over a connection with the one before or with an access token',
    area,
    access: 'public',
    body: renewalRequestSchema,
    answer: { status: 200, text: 'The certificate.' },
    run({ plane, params, body, registration, principal }) {
      const id = params.id!
      if (registration === undefined) plane.demand(principal, 'Manage Servers')
      else if (registration.id !== id) throw new Problem(403, 'the certificate is of another registration')
      const certificate = plane.registrations.renew(id, body.csr)
      return { status: 200, body: { certificate, ca: plane.keys.authority.certificate, urls: plane.urls } }
    },
  }),
  operation({
    method: 'GET',
    path: paths.configuration,
    summary: 'The signed configuration of the gateway’s group, when it is news',
    area,
    access: 'gateway',
    query: configurationQuery,
    answer: { status: 200, text: 'A bundle; 204: no news.', type: bundleMediaType },
    run: configuration,
  }),
  operation({
    method: 'POST',
    path: paths.acknowledgements,
    summary: 'What became of a configuration',
    area,
    access: 'gateway',
    body: acknowledgementSchema,
    answer: { status: 204, text: 'Taken.' },
    run({ plane, registration, body }) {
      const isNews = plane.fleet.acknowledge(registration!, body)
      if (isNews && body.outcome === 'refused') {
        const { version, instance_id: instance, refusal } = body
        const { code, message, findings } = refusal ?? { findings: [] }
        const first = findings.slice(0, 3).map(({ path, message: text }) => `${path}: ${text}`)
        const fields = {
          gateway: registration!.name,
          instance,
          version,
          code,
          reason: message,
          findings: first,
        }
        plane.log.warn(fields, 'a gateway refused a configuration')
      }
      return { status: 204 }
    },
  }),
  operation({
    method: 'POST',
    path: paths.heartbeat,
    summary: 'That an instance is there, and how it is',
    area,
    access: 'gateway',
    body: heartbeatSchema,
    answer: { status: 200, text: 'The newest version, and the id of the instance.' },
    run({ plane, registration, body }) {
      const { group } = registration!
      const id = plane.fleet.heartbeat(registration!, body)
      if (id === undefined) throw new Problem(429, 'this registration has too many instances')
      const version = plane.newestVersion(group)
      return {
        status: 200,
        body: {
          gateway_group_id: group,
          instance_id: id,
          config: { config_version: version, config_payload: {} },
        },
      }
    },
  }),
]

function register({ plane, request, body, principal }: Call<unknown, RegistrationBody>) {
  const { organization, environment } = plane
  for (const [what, wanted, ours] of [
    ['organization', body.organization, organization],
    ['environment', body.environment, environment],
  ] as const) {
    if (wanted !== undefined && wanted !== ours) throw new Problem(400, `there is no such ${what} here`)
  }
  const { group: wantedGroup, secret, author } = authorized()
  const group = plane.groups.records.get(wantedGroup)
  if (group === undefined) throw new Problem(400, 'there is no such gateway group here')
  const { name, csr, connected, version } = body
  const { registration, certificate } = plane.registrations.register(
    {
      name,
      csr,
      connected,
      organization,
      environment,
      group: group.id,
      author,
      ...(version !== undefined && { version }),
    },
    secret,
  )
  return {
    status: 201,
    body: {
      id: registration.id,
      name,
      connected,
      group: { id: group.id, name: group.name },
      organization,
      environment,
      region: 'local',
      certificate,
      ca: plane.keys.authority.certificate,
      roots: plane.keys.roots,
      urls: plane.urls,
    },
  }

  function authorized(): { group: string; secret?: string; author: string } {
    if (principal !== undefined) {
      plane.demand(principal, 'Manage Servers')
      return { group: body.group ?? principal.group ?? 'default', author: principal.name }
    }
    const [, secret = ''] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? []
    plane.accounts.count(request.client)
    const token = plane.registrations.tokenOf(secret)
    if (token === undefined) throw new Problem(401, 'no valid registration token was found')
    plane.accounts.uncount(request.client)
    if (body.group !== undefined && body.group !== token.group) {
      throw new Problem(403, 'the registration token is for another gateway group')
    }
    return { group: token.group, secret, author: token.author }
  }
}

interface RegistrationBody {
  name: string
  csr: string
  connected: boolean
  organization?: string
  environment?: string
  group?: string
  version?: string
}

interface ConfigurationQuery {
  version?: number
  sha256?: string
  issued?: number
  wait?: number
  whole?: number
}

async function configuration({ plane, registration, incoming, query }: Call<ConfigurationQuery, unknown>) {
  const publisher = plane.groups.get(registration!.group)?.publisher
  if (publisher === undefined) throw new Problem(404, 'the gateway group is not there any more')
  const { version = 0, sha256, issued = 0, wait = 0, whole = 0 } = query
  const held: Held | undefined = sha256 === undefined ? undefined : { version, sha256, issued }
  if (whole === 0 && !publisher.isNewTo(held) && wait > 0) {
    await news(publisher, wait * 1000, incoming, plane.closing)
    // Meanwhile it may have been revoked.
    if (holderOn(incoming.socket as TLSSocket, plane.registrations) === undefined) {
      throw new Problem(403, 'no valid certificate of a registration was shown')
    }
  }
  if (whole === 0 && !publisher.isNewTo(held)) return { status: 204 }
  const body = await publisher.bundle(held, whole === 1)
  return body === undefined
    ? { status: 204 }
    : { status: 200, body, headers: { 'Content-Type': bundleMediaType } }
}

/** Resolves with the next publication, when the time is over, or when nobody waits any more. */
function news(
  publisher: { wait(callback: () => void): () => void },
  waitMs: number,
  {
    socket,
  }: {
    socket: {
      once(event: 'close', listener: () => void): unknown
      off(event: 'close', listener: () => void): unknown
    }
  },
  closing: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      leave()
      socket.off('close', end)
      closing.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, waitMs)
    const leave = publisher.wait(end)
    socket.once('close', end)
    closing.addEventListener('abort', end)
  })
}
