/**
 * Which fields of a configuration are secrets, so that nothing that is shown to people or tools holds one: those that
 * their schema marks with `x-secret`, and those whose name says so, because policies of other authors may not mark theirs.
 */
import type { ResourceKind } from './plan.ts'
import type { Catalogue } from './policy-check.ts'
import type { PathSegment } from './problem.ts'
import { resourceSchemas, upstreamSchema } from './resources.ts'
import { secretManagerKind, secretManagerSchemas } from './secret-managers.ts'
import { isSecretReference } from './secret-reference.ts'
import { gatewaySchema } from './settings.ts'

/** Stands where a secret was. */
export const redacted = '<redacted>'

/** A resource, or the gateway's own settings, whose id is empty. */
export interface Configured {
  kind: ResourceKind | 'gateway'
  id: string
}

const secretName =
  /(?:^|[_-])(?:password|passwd|passphrase|secret|token|api_?key|private_key|access_key|client_key)$|(?:Password|Secret|Token|ApiKey|PrivateKey|AccessKey)$/

/** What stands between the name and the host of a URL. */
const urlPassword = /(:\/\/[^\s/@:]*:)[^\s/@]+@/g

/** JSON Schema, as far as it leads to a field. */
interface Described {
  'x-secret'?: boolean
  properties?: Readonly<Record<string, Described>>
  patternProperties?: Readonly<Record<string, Described>>
  additionalProperties?: boolean | Described
  items?: Described
  anyOf?: readonly Described[]
  oneOf?: readonly Described[]
  allOf?: readonly Described[]
}

export class SecretFields {
  readonly #catalogue: Catalogue

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue
  }

  /** Whether the field at this path of a resource, in its normal form or as written, is one or lies inside one. */
  has(resource: Configured, path: readonly PathSegment[]): boolean {
    let schemas = this.#schemasOf(resource)
    const plugins = resource.kind === 'plugin_metadata' ? -1 : path.indexOf('plugins')
    for (const [depth, segment] of path.entries()) {
      if (plugins !== -1 && depth === plugins + 1) schemas = this.#schemasOfPolicy(resource, String(segment))
      else if (depth === 0 && segment === 'upstream') schemas = [upstreamSchema as Described]
      else schemas = schemas.flatMap((schema) => below(schema, segment))
      if (schemas.some((schema) => schema['x-secret'] === true)) return true
      if (typeof segment === 'string' && secretName.test(segment)) return true
    }
    return false
  }

  /** A copy in which every secret is replaced. `path` is where the value lies in its resource. */
  redact(resource: Configured, value: unknown, path: readonly PathSegment[] = []): unknown {
    if (typeof value === 'string') {
      // A reference says where a secret is kept, not what it is.
      if (isSecretReference(value)) return value
      return this.has(resource, path) ? redacted : value.replace(urlPassword, `$1${redacted}@`)
    }
    if (typeof value !== 'object' || value === null) {
      return value !== undefined && value !== null && this.has(resource, path) ? redacted : value
    }
    if (Array.isArray(value)) return value.map((item, index) => this.redact(resource, item, [...path, index]))
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, this.redact(resource, item, [...path, key])]),
    )
  }

  #schemasOf({ kind, id }: Configured): readonly Described[] {
    if (kind === 'gateway') return [gatewaySchema as Described]
    if (kind === 'secrets') {
      const manager = secretManagerKind(id)
      return manager === undefined ? [] : [secretManagerSchemas[manager] as Described]
    }
    if (kind !== 'plugin_metadata') return [resourceSchemas[kind] as Described]
    const schema = this.#catalogue.get(id)?.metadataSchema
    return schema === undefined ? [] : [schema as Described]
  }

  /** A consumer carries credentials for policies that identify, and the configuration of any other. */
  #schemasOfPolicy({ kind }: Configured, name: string): readonly Described[] {
    const policy = this.#catalogue.get(name)
    if (policy === undefined) return []
    const credential = kind === 'consumers' ? policy.credentialSchema : undefined
    return [(credential ?? policy.configSchema) as Described]
  }
}

/** Every schema that the member of that name, or the item at that place, may have. */
function below(schema: Described, segment: PathSegment): Described[] {
  const { properties = {}, patternProperties = {}, additionalProperties, items } = schema
  const branches = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])]
  const found = branches.flatMap((branch) => below(branch, segment))
  if (Object.hasOwn(properties, segment)) found.push(properties[segment]!)
  found.push(...Object.values(patternProperties))
  if (typeof additionalProperties === 'object') found.push(additionalProperties)
  if (items !== undefined) found.push(items)
  return found
}
