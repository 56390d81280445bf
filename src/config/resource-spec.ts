/** What of a resource goes into a plan, whether the plan is made whole or changes by one resource. */
import type { Inputs } from './declarations.ts'
import {
  consumerSpec,
  contractSpec,
  metadataSpec,
  pluginSetSpec,
  protoSpec,
  routeSpec,
  secretManagerSpec,
  serviceRegistrySpec,
  serviceSpec,
  sslSpec,
  streamRouteSpec,
  upstreamSpec,
} from './normalise.ts'
import type { ResourceKind, Resources } from './plan.ts'

/** Where the inputs are. */
export interface InputSource {
  /** With what belongs to it and is a resource of its own; undefined: there is none that is sound. */
  whole<K extends ResourceKind>(kind: K, id: string): Inputs[K] | undefined
  /** Of a route for streams, among all of them. */
  position(id: string): number
}

/** Undefined: nothing, because it is switched off, by its service too, or does not exist. */
export function specOf(
  kind: ResourceKind,
  id: string,
  source: InputSource,
): Resources[ResourceKind] | undefined {
  const serviceOf = (input: { service_id?: string | number } | undefined) =>
    input?.service_id === undefined ? undefined : source.whole('services', String(input.service_id))
  switch (kind) {
    case 'routes': {
      const input = source.whole(kind, id)
      const service = serviceOf(input)
      if (input === undefined || input.status === 0 || service?.status === 0) return undefined
      return routeSpec(id, input, service)
    }
    case 'stream_routes': {
      const input = source.whole(kind, id)
      if (input === undefined || serviceOf(input)?.status === 0) return undefined
      return streamRouteSpec(id, input, source.position(id))
    }
    case 'services': {
      const input = source.whole(kind, id)
      return input === undefined || input.status === 0 ? undefined : serviceSpec(id, input)
    }
    case 'upstreams': {
      const input = source.whole(kind, id)
      return input && upstreamSpec(`upstream:${id}`, { ...input, id })
    }
    case 'consumers': {
      const input = source.whole(kind, id)
      return input && consumerSpec(input)
    }
    case 'contracts': {
      const input = source.whole(kind, id)
      return input && contractSpec(id, input)
    }
    case 'protos': {
      const input = source.whole(kind, id)
      return input && protoSpec(id, input)
    }
    case 'plugin_metadata': {
      const input = source.whole(kind, id)
      return input && metadataSpec(id, input)
    }
    case 'service_registries': {
      const input = source.whole(kind, id)
      return input && serviceRegistrySpec(id, input)
    }
    case 'ssls': {
      const input = source.whole(kind, id)
      return input === undefined || input.status === 0 ? undefined : sslSpec(id, input)
    }
    case 'secrets': {
      const input = source.whole(kind, id)
      return input && secretManagerSpec(id, input)
    }
    default: {
      const input = source.whole(kind, id)
      return input && pluginSetSpec(id, input)
    }
  }
}
