/**
 * Every manager of secrets through the whole gateway, each over a socket to a service that speaks as the real one
 * documents: what it says is a credential, is read again after its time, and is not there when it is gone.
 */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { type Asked, type FakeManager, startFakeManager } from '../harness/fake-manager.ts'
import { freePort, startGateway } from '../harness/gateway.ts'
import { startOrigins } from '../harness/origins.ts'

/** A manager, with what it has of the one secret that is asked for. */
interface Manager {
  /** Of the manager, with its id. */
  spec: object
  reference: string
  /** Undefined: it is taken away. */
  hold(value: string | undefined): Promise<void>
}

const managers: Record<string, (t: TestContext) => Promise<Manager>> = {
  async 'AWS Secrets Manager'(t) {
    const service = await answering(t, (value, { headers, body }) => {
      const asked = headers['x-amz-target'] === 'secretsmanager.GetSecretValue'
      const signed = /^AWS4-HMAC-SHA256 Credential=AK\/\d{8}\/eu-west-1\/secretsmanager\/aws4_request, /
      if (!asked || !signed.test(headers.authorization ?? '')) return { status: 400, body: {} }
      if (JSON.parse(body).SecretId !== 'team' || value === undefined) {
        const message = "Secrets Manager can't find the specified secret."
        return { status: 400, body: { __type: 'ResourceNotFoundException', Message: message } }
      }
      const SecretString = JSON.stringify({ key: value })
      return { status: 200, body: { Name: 'team', SecretString, VersionStages: ['AWSCURRENT'] } }
    })
    const credentials = { access_key_id: 'AK', secret_access_key: 'SK', region: 'eu-west-1' }
    return {
      spec: { id: 'aws/1', endpoint_url: service.manager.address, ...credentials },
      reference: '$secret://aws/1/team/key',
      hold: service.hold,
    }
  },

  async 'Google Cloud Secret Manager'(t) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const service = await answering(t, (value, { path, headers }) => {
      if (path === '/token') return { status: 200, body: { access_token: 'token', expires_in: 3600 } }
      if (headers.authorization !== 'Bearer token') return { status: 401, body: {} }
      if (path !== '/v1/projects/p/secrets/team/versions/latest:access' || value === undefined)
        return { status: 404, body: { error: { code: 404, status: 'NOT_FOUND' } } }
      return { status: 200, body: { payload: { data: Buffer.from(value).toString('base64') } } }
    })
    const account = {
      client_email: 'gateway@p.example',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      project_id: 'p',
      token_uri: `${service.manager.address}/token`,
      entries_uri: `${service.manager.address}/v1`,
    }
    return {
      spec: { id: 'gcp/1', auth_config: account },
      reference: '$secret://gcp/1/team',
      hold: service.hold,
    }
  },

  async Kubernetes(t) {
    const service = await answering(t, (value, { path, headers }) => {
      if (headers.authorization !== 'Bearer token') return { status: 401, body: {} }
      if (path !== '/api/v1/namespaces/apis/secrets/team' || value === undefined)
        return { status: 404, body: { kind: 'Status', reason: 'NotFound', code: 404 } }
      const data = { key: Buffer.from(value).toString('base64') }
      return { status: 200, body: { kind: 'Secret', apiVersion: 'v1', data } }
    })
    return {
      spec: { id: 'kubernetes/1', apiserver_addr: service.manager.address, token: 'token' },
      reference: '$secret://kubernetes/1/apis/team/key',
      hold: service.hold,
    }
  },

  async 'HashiCorp Vault, version 2 of its engine'(t) {
    const service = await answering(t, (value, { path, headers }) => {
      if (headers['x-vault-token'] !== 'token')
        return { status: 403, body: { errors: ['permission denied'] } }
      if (path !== '/v1/kv/data/team' || value === undefined) return { status: 404, body: { errors: [] } }
      return { status: 200, body: { data: { data: { key: value }, metadata: { version: 1 } } } }
    })
    return {
      spec: {
        id: 'vault/1',
        uri: service.manager.address,
        prefix: 'kv',
        token: 'token',
        kv_version: 'kv-v2',
      },
      reference: '$secret://vault/1/team/key',
      hold: service.hold,
    }
  },

  async files(t) {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-secret-files-'))
    t.after(() => rm(folder, { recursive: true }))
    const file = join(folder, 'team')
    return {
      spec: { id: 'file/1', path: folder },
      reference: '$secret://file/1/team',
      hold: (value) => (value === undefined ? rm(file) : writeFile(file, `${value}\n`)),
    }
  },
}

async function answering(
  t: TestContext,
  answer: (value: string | undefined, asked: Asked) => { status: number; body: unknown },
): Promise<{ manager: FakeManager; hold(value: string | undefined): Promise<void> }> {
  let held: string | undefined
  const manager = await startFakeManager(t, (asked) => answer(held, asked))
  const hold = async (value: string | undefined) => {
    held = value
  }
  return { manager, hold }
}

/** A gateway that reads its secrets again when it is told. */
async function started(t: TestContext, { spec, reference }: Manager) {
  const [origin] = await startOrigins(t, 1, ({ headers }, response) => {
    response.end(String(headers['x-consumer-username']))
  })
  const control = await freePort()
  const gateway = await startGateway(
    (port) => `
gateway:
  workers: 2
  listeners: [{ host: 127.0.0.1, port: ${port} }]
  metrics: { enabled: false }
  control: { port: ${control} }
secrets: [${JSON.stringify(spec)}]
consumers: [{ username: team, plugins: { key-auth: { key: "${reference}" } } }]
routes:
  - { id: by-key, uri: /by-key, upstream_id: u, plugins: { key-auth: {} } }
  - { id: by-policy, uri: /by-policy, upstream_id: u, plugins: { csrf: { key: "${reference}" } } }
upstreams: [{ id: u, nodes: { "127.0.0.1:${origin!.port}": 1 } }]
`,
  )
  t.after(() => gateway.stop())
  const send = (path: string, apikey = '') =>
    fetch(`http://127.0.0.1:${gateway.port}${path}`, { headers: { apikey } })
  return {
    gateway,
    async status(path: string, apikey?: string) {
      const answer = await send(path, apikey)
      await answer.text()
      return answer.status
    },
    async consumer(apikey: string) {
      return (await send('/by-key', apikey)).text()
    },
    /** Until the status is that one, in whichever thread. */
    async until(wanted: number, path: string, apikey?: string) {
      const url = `http://127.0.0.1:${control}/v1/state?kind=caches`
      await (await fetch(url, { method: 'DELETE' })).text()
      while ((await this.status(path, apikey)) !== wanted) {
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    },
  }
}

suite('secrets of', { timeout: 120_000 }, () => {
  for (const [name, make] of Object.entries(managers)) {
    test(`${name}: used, changed, gone and back`, async (t) => {
      const manager = await make(t)
      await assert.rejects(
        started(t, manager),
        /error unresolved-secret: consumers\[0\]\.plugins\.key-auth\.key/,
      )

      await manager.hold('canary-first')
      const running = await started(t, manager)
      assert.equal(await running.consumer('canary-first'), 'team')
      assert.equal(await running.status('/by-policy'), 200)

      await manager.hold('canary-second')
      await running.until(200, '/by-key', 'canary-second')
      assert.equal(await running.status('/by-key', 'canary-first'), 401)

      await manager.hold(undefined)
      await running.until(503, '/by-policy')
      assert.equal(await running.status('/by-key', 'canary-second'), 401)
      assert.equal(await running.status('/by-key', manager.reference), 401)

      await manager.hold('canary-third')
      await running.until(200, '/by-policy')
      await running.until(200, '/by-key', 'canary-third')
      assert.doesNotMatch(running.gateway.output(), /canary/)
    })
  }
})
