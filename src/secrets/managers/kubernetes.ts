/** Secrets of Kubernetes, read from the API server (https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1). */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { KubernetesConfig } from '../../config/secret-managers.ts'
import { ask, refusal } from '../http.ts'
import { SecretFailure, type SecretManager, type Surroundings } from '../secret.ts'

/** Where a pod finds its service account. */
const accountFolder = '/var/run/secrets/kubernetes.io/serviceaccount'

export function kubernetes(config: KubernetesConfig, surroundings: Surroundings): SecretManager {
  const { ssl_verify: verify = true } = config
  return {
    candidates(key) {
      const [namespace, secret, ...member] = key.split('/')
      if (member.length === 0) {
        const form = '$secret://kubernetes/ID/NAMESPACE/NAME/KEY'
        throw new SecretFailure('absent', `a reference to Kubernetes has the form ${form}`)
      }
      return [{ name: `${namespace}/${secret}`, member: member.join('/') }]
    },
    async read(name, signal) {
      const [namespace = '', secret = ''] = name.split('/').map(encodeURIComponent)
      const url = new URL(
        `${addressOf(config, surroundings)}/api/v1/namespaces/${namespace}/secrets/${secret}`,
      )
      // A token of a service account lives for an hour; its file is replaced before that.
      const token = config.token ?? (await textOfFile(`${accountFolder}/token`))
      if (token === undefined) throw new SecretFailure('unavailable', 'there is no token for the API server')
      const ca = await certificates(config, surroundings.cwd)
      const answer = await ask(
        {
          method: 'GET',
          url,
          headers: { Authorization: `Bearer ${token.trim()}`, Accept: 'application/json' },
          verify,
          ...(ca !== undefined && { ca }),
        },
        signal,
      )
      if (answer.status === 404) return undefined
      if (answer.status !== 200) throw refusal(answer)
      const { data } = (answer.json ?? {}) as { data?: Record<string, string> | null }
      return {
        members: Object.fromEntries(
          Object.entries(data ?? {}).map(([key, value]) => [
            key,
            Buffer.from(value, 'base64').toString('utf8'),
          ]),
        ),
      }
    },
  }
}

function addressOf({ apiserver_addr: address }: KubernetesConfig, { env }: Surroundings): string {
  if (address !== undefined) return address.replace(/\/+$/, '')
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env
  if (host === undefined) {
    throw new SecretFailure(
      'unavailable',
      'apiserver_addr is not set, and the gateway does not run in a cluster',
    )
  }
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`
}

async function certificates({ ca_file: file }: KubernetesConfig, cwd: string): Promise<string | undefined> {
  if (file === undefined) return textOfFile(`${accountFolder}/ca.crt`)
  const text = await textOfFile(resolve(cwd, file))
  if (text === undefined) throw new SecretFailure('unavailable', 'ca_file cannot be read')
  return text
}

async function textOfFile(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined)
}
