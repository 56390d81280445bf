/** Calls that are sent to another node because of their status; the nodes are servers of gRPC. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { stringify } from 'yaml'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import {
  type Answer,
  type Call,
  callError,
  type GrpcServer,
  startGrpcServer,
} from '../harness/grpc-server.ts'

const definition =
  'syntax = "proto3"; package t; service T { rpc Do (A) returns (A); } message A { string name = 1; }'

/** How each node answers, and how often it was asked. */
const nodes = [0, 1].map(() => ({ code: 0, fields: {} as Record<string, string>, asked: 0, sends: false }))
let servers: GrpcServer[]
let gateway: RunningGateway

before(async () => {
  servers = await Promise.all(
    nodes.map((node, index) =>
      startGrpcServer(definition, {
        't.T': {
          Do(call: never, callback: never) {
            node.asked++
            if (node.sends) (call as Call).sendMetadata(new Metadata())
            if (node.code !== 0) (callback as Answer)(callError(node.code, `node ${index}`, node.fields))
            else (callback as Answer)(null, { name: `${(call as Call).request.name} of ${index}` })
          },
        },
      } as never),
    ),
  )
  const upstream = (more: object) => ({
    scheme: 'grpc',
    nodes: servers.map(({ port }, index) => ({ host: '127.0.0.1', port, weight: 1, priority: 1 - index })),
    ...more,
  })
  const statuses = { retry_grpc_statuses: ['unavailable', 'resource-exhausted'] }
  gateway = await startGateway((port) =>
    stringify({
      gateway: { listeners: [{ port }] },
      routes: [
        { id: 'retried', uri: '/*', hosts: ['retried.example'], upstream: upstream(statuses) },
        { id: 'none', uri: '/*', hosts: ['none.example'], upstream: upstream({ ...statuses, retries: 0 }) },
        { id: 'plain', uri: '/*', hosts: ['plain.example'], upstream: upstream({}) },
      ],
    }),
  )
})

after(async () => {
  await gateway?.stop()
  for (const server of servers ?? []) server.stop()
})

async function call(host: string): Promise<{ error: ServiceError | null; asked: number[]; name: string }> {
  for (const node of nodes) node.asked = 0
  const client = new Client(`127.0.0.1:${gateway.port}`, credentials.createInsecure(), {
    'grpc.default_authority': host,
    'grpc.enable_retries': 0,
  })
  const { error, value } = await new Promise<{ error: ServiceError | null; value: Buffer | undefined }>(
    (resolve) =>
      client.makeUnaryRequest(
        '/t.T/Do',
        (name: string) => Buffer.from(`\n${String.fromCharCode(name.length)}${name}`),
        (bytes: Buffer) => bytes,
        'tea',
        (failure, bytes) => resolve({ error: failure, value: bytes }),
      ),
  )
  client.close()
  return { error, asked: nodes.map(({ asked }) => asked), name: value?.subarray(2).toString() ?? '' }
}

function first(code: number, fields: Record<string, string> = {}, sends = false) {
  Object.assign(nodes[0]!, { code, fields, sends })
}

suite('a call whose node answers with a status that is named', () => {
  test('goes to another node, whole', async () => {
    for (const code of [status.UNAVAILABLE, status.RESOURCE_EXHAUSTED]) {
      first(code)
      assert.deepEqual(await call('retried.example'), { error: null, asked: [1, 1], name: 'tea of 1' })
    }
  })

  test('has the last answer when no node is left', async (t) => {
    first(status.UNAVAILABLE)
    nodes[1]!.code = status.UNAVAILABLE
    t.after(() => {
      nodes[1]!.code = 0
    })
    const { error, asked } = await call('retried.example')
    assert.deepEqual([error?.code, error?.details, asked], [status.UNAVAILABLE, 'node 1', [1, 1]])
  })

  for (const [what, host, ...answer] of [
    ['another status', 'retried.example', status.INTERNAL],
    [
      'a node that asks for no further try',
      'retried.example',
      status.UNAVAILABLE,
      { 'grpc-retry-pushback-ms': '-1' },
    ],
    ['a head that came before the status', 'retried.example', status.UNAVAILABLE, {}, true],
    ['no tries left', 'none.example', status.UNAVAILABLE],
    ['an upstream that names none', 'plain.example', status.UNAVAILABLE],
  ] as const) {
    test(`ends there with ${what}`, async () => {
      first(answer[0], answer[1], answer[2])
      const { error, asked } = await call(host)
      assert.deepEqual([error?.code, asked], [answer[0], [1, 0]])
    })
  }
})
