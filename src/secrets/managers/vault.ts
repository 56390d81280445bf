/** HashiCorp Vault, key-value engine of version 1 and 2 (https://developer.hashicorp.com/vault/api-docs/secret/kv). */
import type { VaultConfig } from '../../config/secret-managers.ts'
import { ask, refusal } from '../http.ts'
import { SecretFailure, type SecretManager } from '../secret.ts'

interface VaultAnswer {
  data?: Record<string, unknown> | null
}

export function vault(config: VaultConfig): SecretManager {
  const { uri, token, namespace, ssl_verify: verify = true } = config
  const isSecond = config.kv_version === 'kv-v2'
  const headers = {
    'X-Vault-Token': token,
    ...(namespace !== undefined && { 'X-Vault-Namespace': namespace }),
  }
  return {
    candidates(key) {
      const slash = key.lastIndexOf('/')
      if (slash === -1) {
        throw new SecretFailure('absent', 'a reference to Vault has the form $secret://vault/ID/PATH/KEY')
      }
      return [{ name: key.slice(0, slash), member: key.slice(slash + 1) }]
    },
    async read(name, signal) {
      const path = pathOf(config.prefix, name, isSecond)
      const url = new URL(`${uri.replace(/\/+$/, '')}/v1/${path}`)
      const answer = await ask({ method: 'GET', url, headers, verify }, signal)
      if (answer.status === 404) return undefined
      const { data } = (answer.json ?? {}) as VaultAnswer
      if (answer.status !== 200 || data === undefined) throw refusal(answer)
      // A version that was deleted has no data.
      const members = isSecond ? (data as { data?: Record<string, unknown> | null } | null)?.data : data
      return members == null ? undefined : { members }
    },
  }
}

/** The second version has `data` behind the engine, which is the first segment unless the prefix says it itself. */
function pathOf(prefix: string, name: string, isSecond: boolean): string {
  const segments = prefix.split('/').filter((segment) => segment !== '')
  if (isSecond && !segments.includes('data')) segments.splice(1, 0, 'data')
  return [...segments, ...name.split('/')].map(encodeURIComponent).join('/')
}
