/** The registries by their type; each is loaded when the first configuration has one. */
import type { RegistrySettings } from '../../../config/discovery.ts'
import type { Registry, RegistryContext } from './registry.ts'

export type RegistryType = RegistrySettings['type']
export type OpenRegistry = (settings: RegistrySettings, context: RegistryContext) => Registry

type ConfigOf<Type extends RegistryType> = Extract<RegistrySettings, { type: Type }>['config']

/** What opens registries of a type. */
export async function loadRegistry(type: RegistryType): Promise<OpenRegistry> {
  switch (type) {
    case 'dns': {
      const { DnsRegistry } = await import('./dns-registry.ts')
      return ({ config }, context) => new DnsRegistry(config as ConfigOf<'dns'>, context)
    }
    case 'consul': {
      const { ConsulRegistry } = await import('./consul-registry.ts')
      return ({ config }, context) => new ConsulRegistry(config as ConfigOf<'consul'>, context)
    }
    case 'kubernetes': {
      const { KubernetesRegistry } = await import('./kubernetes-registry.ts')
      return ({ config }, context) => new KubernetesRegistry(config as ConfigOf<'kubernetes'>, context)
    }
    case 'nacos': {
      const { NacosRegistry } = await import('./nacos-registry.ts')
      return ({ config }, context) => new NacosRegistry(config as ConfigOf<'nacos'>, context)
    }
  }
}
