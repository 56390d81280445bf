/** The example of each policy, as the reference shows it, through one gateway with local services. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { stringify } from 'yaml'
import { catalogue, type PolicyName } from '../../src/policies/index.ts'
import {
  exampleCommands,
  exampleHost,
  exampleRequest,
  exampleResources,
  notRun,
} from '../harness/example-requests.ts'
import { startExampleServices } from '../harness/example-services.ts'
import { policyGateway } from '../harness/policy-gateway.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-examples-'))
const services = await startExampleServices()
after(async () => {
  await services.stop()
  rmSync(folder, { recursive: true })
})
const names = [...catalogue.keys()] as PolicyName[]
const { send, output } = policyGateway(() =>
  stringify({ gateway: { commands: exampleCommands }, ...exampleResources(names, services, 'u', folder) }),
)

/** Those that answer in place of the upstream of their route. */
const answering = new Set<PolicyName>([
  'ai-aliyun-content-moderation',
  'ai-aws-content-moderation',
  'ai-lakera-guard',
  'ai-proxy',
  'ai-proxy-multi',
  'ai-rate-limiting',
  'batch-requests',
  'mocking',
  'public-api',
])

for (const name of names.filter((name) => notRun[name] === undefined)) {
  test(`the example of ${name} works`, async () => {
    const { method, path = '/api/orders', headers, body, contentType } = exampleRequest(name, services)
    const { status, text, seen } = await send(path, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: {
        host: exampleHost(name),
        ...(body !== undefined && { 'content-type': contentType ?? 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body }),
    })
    assert.equal(status, 200, `${text}\n${output()}`)
    if (!answering.has(name)) assert.ok(seen, 'it did not reach the upstream')
  })
}
