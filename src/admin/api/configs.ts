/** `/apisix/admin/configs` and `/apisix/admin/configs/validate`. */
import type { Catalogue } from '../../config/policy-check.ts'
import { readYaml, writeYaml } from '../../config/yaml-text.ts'
import type { LiveConfiguration, Transaction } from '../live-configuration.ts'
import { type Answer, failure } from './answer.ts'
import { keptDocument, speaksApi7 } from './api7.ts'
import { applyDocument, checkDocument, nextVersions, readFacts, writeDocument } from './config-document.ts'
import { parseJsonBody } from './json-body.ts'
import type { Caller } from './keys.ts'
import type { ApiRequest } from './request.ts'
import type { ResourceCheck } from './resource-check.ts'
import { isTrial } from './resources.ts'

type Value = Record<string, unknown>

const yamlType = 'application/yaml'

export class ConfigsHandler {
  readonly #live: LiveConfiguration
  readonly #check: ResourceCheck
  readonly #catalogue: Catalogue
  /** Epoch seconds. */
  readonly #now: () => number

  constructor(live: LiveConfiguration, check: ResourceCheck, catalogue: Catalogue, now: () => number) {
    this.#live = live
    this.#check = check
    this.#catalogue = catalogue
    this.#now = now
  }

  async handle(request: ApiRequest, caller: Caller): Promise<Answer> {
    switch (request.method) {
      case 'GET':
        return this.#live.run(({ store }) => {
          const document = writeDocument(store, caller.role === 'admin')
          const headers = headersOf(readFacts(store))
          if (!(request.headers.accept ?? '').startsWith(yamlType))
            return { status: 200, body: document, headers }
          return { status: 200, body: writeYaml(document), headers: { ...headers, 'Content-Type': yamlType } }
        })
      case 'HEAD':
        return this.#live.run(({ store }) => ({ status: 200, headers: headersOf(readFacts(store)) }))
      case 'PUT':
        return this.#put(request)
      default:
        return failure(404, 'not found')
    }
  }

  async validate(request: ApiRequest): Promise<Answer> {
    const read = readBody(request)
    if ('problem' in read) return failure(400, `invalid request body: ${read.problem}`)
    return this.#live.run((transaction) => {
      const document = speaksApi7(request) ? keptDocument(read.document) : read.document
      const { faults } = this.#checked(document, transaction)
      if (faults.length === 0) return { status: 200, body: {} }
      return { status: 400, body: { error_msg: 'Configuration validation failed', errors: faults } }
    })
  }

  async #put(request: ApiRequest): Promise<Answer> {
    const digest = request.headers['x-digest']
    if (typeof digest !== 'string') return failure(400, 'missing digest header')
    const read = readBody(request)
    if ('problem' in read) return failure(400, `invalid request body: ${read.problem}`)
    const { document } = read
    const job = (transaction: Transaction): Answer => {
      const before = readFacts(transaction.store)
      if (before?.digest === digest) return { status: 204 }
      const { faults, items } = this.#checked(document, transaction)
      if (faults.length > 0) return failure(400, faults[0]!.error)
      const next = nextVersions(document, before?.versions ?? {})
      if ('problem' in next) return failure(400, next.problem)
      const facts = {
        digest,
        modified: this.#now(),
        versions: next.versions,
        ...(document.plugins !== undefined && { plugins: document.plugins }),
      }
      applyDocument(items, facts, transaction)
      return { status: 202, headers: headersOf(facts) }
    }
    return isTrial(request.query) ? this.#live.try(job) : this.#live.run(job)
  }

  #checked(document: Value, transaction: Transaction) {
    return checkDocument(document, this.#check, this.#catalogue, transaction)
  }
}

function headersOf(facts: { digest: string; modified: number } | undefined): Record<string, string> {
  return facts === undefined ? {} : { 'X-Last-Modified': String(facts.modified), 'X-Digest': facts.digest }
}

function readBody({ body, headers }: ApiRequest): { document: Value } | { problem: string } {
  if (body === undefined) return { problem: 'empty request body' }
  const isYaml = (headers['content-type'] ?? '').startsWith(yamlType)
  let document: unknown
  if (isYaml) {
    const { values, problems } = readYaml(body)
    if (problems.length === 0) document = values[0]
  } else {
    try {
      document = parseJsonBody(body)
    } catch (error) {
      return { problem: (error as Error).message }
    }
  }
  if (typeof document === 'object' && document !== null && !Array.isArray(document)) {
    return { document: document as Value }
  }
  return { problem: isYaml ? 'invalid yaml request body' : 'it is not an object' }
}
