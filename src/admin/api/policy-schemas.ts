/** What the Admin API tells about policies and schemas. */
import { apisixSchema } from '../../config/apisix-schema.ts'
import type { Catalogue, PolicySchema } from '../../config/policy-check.ts'
import { configSchemaOf, inStreams, publishedPolicy, schemasByKind } from '../published-schemas.ts'
import { type Answer, failure } from './answer.ts'
import { adminKinds } from './kinds.ts'
import { schemaError } from './wording.ts'

/** Schemas go by the noun of their kind: `route`, `global_rule`. */
const kindsByNoun = new Map(
  [...adminKinds.values()].map(({ name, noun }) => [noun.replaceAll(' ', '_'), name]),
)

export class PolicySchemas {
  readonly #catalogue: Catalogue
  readonly #version: string

  /** `version`: of the gateway. */
  constructor(catalogue: Catalogue, version: string) {
    this.#catalogue = catalogue
    this.#version = version
  }

  /** Names in the order in which they run. */
  list(subsystem: string): Answer {
    if (subsystem !== 'http' && subsystem !== 'stream')
      return { status: 400, body: 'invalid subsystem passed' }
    return { status: 200, body: this.#inOrder(subsystem).map(({ name }) => name) }
  }

  /** `GET /plugins/NAME`, and `/plugins?all=true`. */
  policy(name: string | undefined, query: URLSearchParams): Answer {
    const subsystem = query.get('subsystem') ?? 'http'
    if (subsystem !== 'http' && subsystem !== 'stream')
      return failure(400, `unsupported subsystem: ${subsystem}`)
    const all = this.#inOrder(subsystem)
    if (query.get('all') === 'true') {
      return {
        status: 200,
        body: Object.fromEntries(all.map((policy) => [policy.name, publishedPolicy(policy)])),
      }
    }
    const policy = all.find((candidate) => candidate.name === name)
    if (policy === undefined) return failure(404, `plugin not found in subsystem ${subsystem}`)
    if (query.get('schema_type') !== 'consumer') return { status: 200, body: configSchemaOf(policy) }
    const { credentialSchema: schema } = policy
    return schema === undefined
      ? failure(400, 'not found schema')
      : { status: 200, body: apisixSchema(schema) }
  }

  /** `GET /schema/NOUN`. */
  schema(noun: string): Answer {
    const kind = kindsByNoun.get(noun)
    const schema = kind === undefined ? undefined : schemasByKind[kind]
    return schema === undefined
      ? failure(400, `not found schema: ${noun}`)
      : { status: 200, body: apisixSchema(schema) }
  }

  /** `POST /schema/validate/KIND`: the schema, and nothing beyond it. */
  validate(kind: string, value: unknown): Answer {
    if (!adminKinds.has(kind)) return failure(404, `Unsupported resource type: ${kind}`)
    const schema = schemasByKind[kind]
    const fault = schema && schemaError(schema, value)
    return fault === undefined ? { status: 200 } : failure(400, fault)
  }

  /** Loaded when it is asked for. */
  async openApi(): Promise<Answer> {
    const { openApi } = await import('./openapi/document.ts')
    return { status: 200, body: openApi(this.#catalogue, this.#version) }
  }

  #inOrder(subsystem: 'http' | 'stream'): PolicySchema[] {
    const all = [...this.#catalogue.values()]
    const those =
      subsystem === 'http'
        ? all.filter(({ stream }) => stream?.only !== true)
        : all.flatMap((policy) => inStreams(policy) ?? [])
    return those.sort((a, b) => (b.priority ?? 0) - (a.priority ?? 0))
  }
}
