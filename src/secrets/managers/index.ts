/** The secret managers by their kind; each is loaded when the first reference needs it. */
import type {
  AwsConfig,
  FileConfig,
  GcpConfig,
  KubernetesConfig,
  SecretManagerKind,
  VaultConfig,
} from '../../config/secret-managers.ts'
import type { SecretManager, Surroundings } from '../secret.ts'

/** `config` fits the schema of its kind, and its references are resolved. */
export async function openManager(
  kind: SecretManagerKind,
  config: Record<string, unknown>,
  surroundings: Surroundings,
): Promise<SecretManager> {
  switch (kind) {
    case 'vault':
      return (await import('./vault.ts')).vault(config as VaultConfig)
    case 'aws':
      return (await import('./aws.ts')).aws(config as AwsConfig, surroundings)
    case 'gcp':
      return (await import('./gcp.ts')).gcp(config as GcpConfig, surroundings)
    case 'kubernetes':
      return (await import('./kubernetes.ts')).kubernetes(config as KubernetesConfig, surroundings)
    case 'file':
      return (await import('./file.ts')).file(config as FileConfig, surroundings)
  }
}
