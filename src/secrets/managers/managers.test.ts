/** Each secret manager against a server, or files, that speak as the real one documents. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, verify } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { type Asked, startFakeManager } from '../../../test/harness/fake-manager.ts'
import type { Environment } from '../../config/environment.ts'
import type { SecretManagerSpec } from '../../config/plan.ts'
import { SecretReader } from '../reader.ts'
import { signature } from './aws-signature.ts'

const now = Date.UTC(2026, 10, 22)

/** The value of a reference, or why there is none, with the kind of failure in front. */
async function read(
  spec: SecretManagerSpec,
  text: string,
  env: Environment = {},
  cwd = '/',
): Promise<string> {
  const reader = new SecretReader({ env, cwd, now: () => now })
  const resolution = await reader.resolve(text, new Map([[spec.id, spec]]))
  if ('value' in resolution) return resolution.value
  const { kind, message } = resolution.failure
  return `${kind}: ${message}`
}

const notFound = { status: 404, body: { errors: [] } }

suite('HashiCorp Vault', () => {
  const spec = (uri: string, more = {}) => ({
    id: 'vault/1',
    uri,
    prefix: 'kv/apisix',
    token: 'root',
    ...more,
  })

  test('version 1: the data of a path, with token and namespace', async (t) => {
    const vault = await startFakeManager(t, ({ path }) =>
      path === '/v1/kv/apisix/jack'
        ? { status: 200, body: { lease_id: '', data: { 'auth-key': 'value', number: 7, list: [] } } }
        : notFound,
    )
    const manager = spec(vault.address, { namespace: 'team-a' })
    assert.equal(await read(manager, '$secret://vault/1/jack/auth-key'), 'value')
    const { method, headers } = vault.asked[0]!
    assert.deepEqual(
      [method, headers['x-vault-token'], headers['x-vault-namespace']],
      ['GET', 'root', 'team-a'],
    )
    assert.equal(await read(manager, '$secret://vault/1/jack/number'), '7')
    for (const member of ['list', 'none', 'toString']) {
      assert.equal(
        await read(manager, `$secret://vault/1/jack/${member}`),
        'absent: the secret has no such member that is a text',
      )
    }
    assert.equal(await read(manager, '$secret://vault/1/jill/key'), 'absent: its manager has no such secret')
    assert.match(await read(manager, '$secret://vault/1/jack'), /^absent: a reference to Vault has the form/)
  })

  test('version 2: `data` behind the engine, unless the prefix says it', async (t) => {
    const vault = await startFakeManager(t, ({ path }) => {
      if (path === '/v1/kv/data/apisix/jack') {
        return { status: 200, body: { data: { data: { key: 'new' }, metadata: { version: 3 } } } }
      }
      if (path === '/v1/teams/kv/data/jack') return { status: 200, body: { data: { data: { key: 'deep' } } } }
      // What Vault answers for a version that was deleted.
      if (path === '/v1/kv/data/apisix/gone')
        return { status: 200, body: { data: { data: null, metadata: {} } } }
      return notFound
    })
    const second = spec(vault.address, { kv_version: 'kv-v2' })
    assert.equal(await read(second, '$secret://vault/1/jack/key'), 'new')
    assert.equal(await read(second, '$secret://vault/1/gone/key'), 'absent: its manager has no such secret')
    const deep = spec(vault.address, { kv_version: 'kv-v2', prefix: 'teams/kv/data' })
    assert.equal(await read(deep, '$secret://vault/1/jack/key'), 'deep')
  })

  test('the token comes from the environment, and what is not allowed is told without its body', async (t) => {
    const vault = await startFakeManager(t, ({ headers }) =>
      headers['x-vault-token'] === 'right'
        ? { status: 200, body: { data: { key: 'value' } } }
        : { status: 403, body: { errors: ['permission denied for token wrong-token'] } },
    )
    const manager = spec(vault.address, { token: '$env://VAULT_TOKEN' })
    const reference = '$secret://vault/1/jack/key'
    assert.equal(await read(manager, reference, { VAULT_TOKEN: 'right' }), 'value')
    assert.equal(
      await read(manager, reference, { VAULT_TOKEN: 'wrong-token' }),
      'unavailable: its manager answers 403: what the gateway identifies itself with is not accepted',
    )
    assert.equal(
      await read(manager, reference),
      'unavailable: $env://VAULT_TOKEN in its manager vault/1 leads to nothing',
    )
    assert.equal(vault.asked.length, 2)
  })

  test('a server that fails, talks nonsense, redirects or is not there is unavailable', async (t) => {
    const vault = await startFakeManager(t, () => ({ status: 500, body: 'broken' }))
    const reference = '$secret://vault/1/jack/key'
    assert.equal(await read(spec(vault.address), reference), 'unavailable: its manager answers 500')
    vault.answer = () => ({ status: 200, body: '<html>' })
    assert.equal(await read(spec(vault.address), reference), 'unavailable: its manager answers 200')
    vault.answer = () => ({ status: 302, body: '' })
    assert.equal(await read(spec(vault.address), reference), 'unavailable: its manager answers 302')
    vault.answer = () => ({ status: 200, body: { data: { key: 'x'.repeat(2_000_000) } } })
    assert.match(await read(spec(vault.address), reference), /^unreachable: its manager cannot be reached/)
    vault.stop()
    assert.equal(
      await read(spec(vault.address), reference),
      'unreachable: its manager cannot be reached (ECONNREFUSED)',
    )
  })

  test('a server that takes the request and says nothing is given up', async (t) => {
    const silent = net.createServer()
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    t.after(() => silent.close())
    const reader = new SecretReader({ env: {}, cwd: '/', now: () => now })
    reader.timeout = 1
    const { port } = silent.address() as net.AddressInfo
    const manager = spec(`http://127.0.0.1:${port}`)
    const resolution = await reader.resolve('$secret://vault/1/a/b', new Map([['vault/1', manager]]))
    assert.ok('failure' in resolution)
    assert.equal(resolution.failure.message, 'its manager cannot be reached (it does not answer in time)')
  })
})

suite('AWS Secrets Manager', () => {
  const spec = (endpoint: string, more = {}) => ({
    id: 'aws/1',
    endpoint_url: endpoint,
    region: 'eu-central-1',
    access_key_id: 'AKID',
    secret_access_key: 'secret',
    ...more,
  })
  const secrets: Record<string, object> = {
    plain: { SecretString: 'text' },
    jack: { SecretString: '{"auth-key":"value"}' },
    'john/secret': { SecretString: '{"john-key-auth":"john"}' },
    binary: { SecretBinary: Buffer.from('bytes').toString('base64') },
  }
  const answer = ({ body }: Asked) => {
    const value = secrets[(JSON.parse(body) as { SecretId: string }).SecretId]
    return value === undefined
      ? { status: 400, body: { __type: 'ResourceNotFoundException', Message: 'none' } }
      : { status: 200, body: { Name: 'x', ...value } }
  }

  test('asks for the current version of a secret, signed', async (t) => {
    const aws = await startFakeManager(t, answer)
    const manager = spec(aws.address, { session_token: '$env://AWS_SESSION_TOKEN' })
    assert.equal(await read(manager, '$secret://aws/1/plain', { AWS_SESSION_TOKEN: 'session' }), 'text')
    const { method, path, headers, body } = aws.asked[0]!
    assert.deepEqual([method, path], ['POST', '/'])
    assert.deepEqual(JSON.parse(body), { SecretId: 'plain', VersionStage: 'AWSCURRENT' })
    assert.equal(headers['x-amz-target'], 'secretsmanager.GetSecretValue')
    assert.equal(headers['content-type'], 'application/x-amz-json-1.1')
    const signed = signature(
      {
        method,
        url: new URL(aws.address),
        headers: {
          'content-type': headers['content-type']!,
          'x-amz-target': headers['x-amz-target'] as string,
        },
        body,
      },
      { accessKeyId: 'AKID', secretAccessKey: 'secret', sessionToken: 'session' },
      { region: 'eu-central-1', service: 'secretsmanager' },
      now,
    )
    assert.equal(headers.authorization, signed.Authorization)
    assert.equal(headers['x-amz-date'], signed['X-Amz-Date'])
    assert.equal(headers['x-amz-security-token'], 'session')
  })

  test('takes the longest name that there is, and the rest as a member', async (t) => {
    const aws = await startFakeManager(t, answer)
    const manager = spec(aws.address)
    assert.equal(await read(manager, '$secret://aws/1/jack/auth-key'), 'value')
    assert.equal(await read(manager, '$secret://aws/1/john/secret/john-key-auth'), 'john')
    assert.deepEqual(
      aws.asked.map(({ body }) => (JSON.parse(body) as { SecretId: string }).SecretId),
      ['jack/auth-key', 'jack', 'john/secret/john-key-auth', 'john/secret'],
    )
    assert.equal(await read(manager, '$secret://aws/1/binary'), 'bytes')
    assert.equal(
      await read(manager, '$secret://aws/1/jack/none'),
      'absent: the secret has no such member that is a text',
    )
    assert.equal(await read(manager, '$secret://aws/1/none/at/all'), 'absent: its manager has no such secret')
  })

  test('any other error says nothing about the secret', async (t) => {
    const aws = await startFakeManager(t, () => ({ status: 400, body: { __type: 'AccessDeniedException' } }))
    assert.equal(
      await read(spec(aws.address), '$secret://aws/1/jack'),
      'unavailable: its manager answers 400',
    )
    assert.equal(aws.asked.length, 1)
  })
})

suite('Google Cloud Secret Manager', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string

  function account(address: string) {
    return {
      client_email: 'email@apisix.iam.gserviceaccount.com',
      private_key: pem,
      project_id: 'apisix',
      token_uri: `${address}/token`,
      entries_uri: `${address}/v1`,
      scope: ['https://www.googleapis.com/auth/cloud-platform'],
    }
  }

  const answer = ({ method, path, headers, body }: Asked) => {
    if (path === '/token') {
      const form = new URLSearchParams(body)
      assert.deepEqual(
        [method, form.get('grant_type')],
        ['POST', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
      )
      const [head = '', claims = '', sign = ''] = form.get('assertion')!.split('.')
      assert.ok(verify('sha256', Buffer.from(`${head}.${claims}`), publicKey, Buffer.from(sign, 'base64url')))
      const { iss, iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString())
      assert.deepEqual(
        [iss, iat, exp],
        ['email@apisix.iam.gserviceaccount.com', now / 1000, now / 1000 + 3600],
      )
      return { status: 200, body: { access_token: 'a-token', token_type: 'Bearer', expires_in: 3600 } }
    }
    assert.equal(headers.authorization, 'Bearer a-token')
    if (path !== '/v1/projects/apisix/secrets/jack/versions/latest:access') {
      return { status: 404, body: { error: { code: 404 } } }
    }
    return { status: 200, body: { payload: { data: Buffer.from('{"key":"value"}').toString('base64') } } }
  }

  test('the latest version, with one token for all that is read meanwhile', async (t) => {
    const gcp = await startFakeManager(t, answer)
    const managers = new Map([['gcp/1', { id: 'gcp/1', auth_config: account(gcp.address) }]])
    const reader = new SecretReader({ env: {}, cwd: '/', now: () => now })
    const values = await Promise.all(
      ['jack', 'jack/key', 'jill', 'jack/none'].map((key) =>
        reader.resolve(`$secret://gcp/1/${key}`, managers),
      ),
    )
    assert.deepEqual(
      values.map((resolution) => ('value' in resolution ? resolution.value : resolution.failure.kind)),
      ['{"key":"value"}', 'value', 'absent', 'absent'],
    )
    assert.equal(gcp.asked.filter(({ path }) => path === '/token').length, 1)
    assert.equal(gcp.asked.length, 3)
  })

  test('the account may stand in a file', async (t) => {
    const gcp = await startFakeManager(t, answer)
    const folder = await temporary(t)
    await writeFile(join(folder, 'account.json'), JSON.stringify(account(gcp.address)))
    const manager = { id: 'gcp/1', auth_file: 'account.json' }
    assert.equal(await read(manager, '$secret://gcp/1/jack/key', {}, folder), 'value')
    assert.equal(
      await read({ id: 'gcp/1', auth_file: 'none.json' }, '$secret://gcp/1/jack', {}, folder),
      'unavailable: the file of its service account cannot be read',
    )
    await writeFile(join(folder, 'half.json'), '{"client_email":"x"}')
    assert.equal(
      await read({ id: 'gcp/1', auth_file: 'half.json' }, '$secret://gcp/1/jack', {}, folder),
      'unavailable: the file of its service account is not complete',
    )
  })

  test('a token that is refused, or a key that is none', async (t) => {
    const gcp = await startFakeManager(t, () => ({ status: 401, body: { error: 'invalid_grant' } }))
    assert.match(
      await read({ id: 'gcp/1', auth_config: account(gcp.address) }, '$secret://gcp/1/jack'),
      /^unavailable: its manager answers 401/,
    )
    const broken = { ...account(gcp.address), private_key: 'no key' }
    assert.equal(
      await read({ id: 'gcp/1', auth_config: broken }, '$secret://gcp/1/jack'),
      'unavailable: the private key of its service account cannot be used',
    )
  })
})

suite('Kubernetes', () => {
  const answer = ({ path }: Asked) =>
    path === '/api/v1/namespaces/default/secrets/jack'
      ? {
          status: 200,
          body: { kind: 'Secret', data: { 'auth.key': Buffer.from('value').toString('base64') } },
        }
      : { status: 404, body: { kind: 'Status', reason: 'NotFound' } }

  test('a member of a secret of a namespace, over TLS with the certificates of the cluster', async (t) => {
    const folder = await temporary(t)
    const tls = await certificate(folder)
    const cluster = await startFakeManager(t, answer, tls)
    const manager = {
      id: 'kubernetes/1',
      apiserver_addr: cluster.address,
      token: 'a-token',
      ca_file: 'cert.pem',
    }
    const reference = '$secret://kubernetes/1/default/jack/auth.key'
    assert.equal(await read(manager, reference, {}, folder), 'value')
    assert.equal(cluster.asked[0]!.headers.authorization, 'Bearer a-token')
    assert.equal(
      await read(manager, '$secret://kubernetes/1/other/jack/auth.key', {}, folder),
      'absent: its manager has no such secret',
    )
    const { ca_file: _, ...stranger } = manager
    assert.match(await read(stranger, reference, {}, folder), /^unreachable: .*SELF_SIGNED/)
    assert.equal(await read({ ...stranger, ssl_verify: false }, reference, {}, folder), 'value')
    assert.equal(
      await read({ ...manager, ca_file: 'none.pem' }, reference, {}, folder),
      'unavailable: ca_file cannot be read',
    )
  })

  test('the address comes from the cluster', async (t) => {
    const folder = await temporary(t)
    const cluster = await startFakeManager(t, answer, await certificate(folder))
    const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(cluster.port) }
    const manager = { id: 'kubernetes/1', token: 'a-token', ca_file: 'cert.pem' }
    assert.equal(await read(manager, '$secret://kubernetes/1/default/jack/auth.key', env, folder), 'value')
    assert.match(
      await read(manager, '$secret://kubernetes/1/default/jack/auth.key', {}, folder),
      /^unavailable: apiserver_addr is not set/,
    )
  })

  test('a reference names namespace, secret and member', async () => {
    const manager = { id: 'kubernetes/1', apiserver_addr: 'http://127.0.0.1:1', token: 'x' }
    assert.match(
      await read(manager, '$secret://kubernetes/1/jack/key'),
      /^absent: a reference to Kubernetes has/,
    )
  })
})

suite('files', () => {
  test('the text of a file, or a member of the JSON in it', async (t) => {
    const folder = await temporary(t)
    await mkdir(join(folder, 'run/db'), { recursive: true })
    await writeFile(join(folder, 'run/plain'), 'value\n')
    await writeFile(join(folder, 'run/lines'), 'a\n\n')
    await writeFile(join(folder, 'run/db/account'), '{"user":"jack","pin":7}')
    const manager = { id: 'file/1', path: 'run' }
    const expected: [key: string, value: string][] = [
      ['plain', 'value'],
      ['lines', 'a\n'],
      ['db/account', '{"user":"jack","pin":7}'],
      ['db/account/user', 'jack'],
      ['db/account/pin', '7'],
      ['db/account/none', 'absent: the secret has no such member that is a text'],
      ['db', 'absent: its manager has no such secret'],
      ['none', 'absent: its manager has no such secret'],
    ]
    for (const [key, value] of expected) {
      assert.equal(await read(manager, `$secret://file/1/${key}`, {}, folder), value, key)
    }
  })

  test('nothing outside of the folder, and nothing that is too large', async (t) => {
    const folder = await temporary(t)
    await mkdir(join(folder, 'run'))
    await writeFile(join(folder, 'outside'), 'value')
    await writeFile(join(folder, 'run/large'), Buffer.alloc(1024 * 1024 + 1, 'x'))
    const manager = { id: 'file/1', path: 'run' }
    assert.match(
      await read(manager, '$secret://file/1/../outside', {}, folder),
      /^absent: its key must not hold/,
    )
    assert.equal(
      await read(manager, '$secret://file/1/large', {}, folder),
      'absent: its file is larger than 1 MiB',
    )
  })
})

async function temporary(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-secrets-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Made for the test: no key is kept in the repository. */
async function certificate(folder: string): Promise<{ key: string; cert: string }> {
  const files = { key: join(folder, 'key.pem'), cert: join(folder, 'cert.pem') }
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  const made = ['-newkey', 'rsa:2048', '-nodes', '-keyout', files.key, '-out', files.cert, '-days', '1']
  execFileSync('openssl', ['req', '-x509', ...made, ...subject], { stdio: 'ignore' })
  return { key: await readFile(files.key, 'utf8'), cert: await readFile(files.cert, 'utf8') }
}
