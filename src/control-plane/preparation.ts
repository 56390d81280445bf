/**
 * What takes long about a publication: the check of everything, its canonical text, the patch to it. A control plane
 * hands this to a thread beside it, so that thousands of routes keep no gateway and no administrator waiting.
 */
import { zonesElsewhere } from '../config/cache-zones.ts'
import { check } from '../config/check.ts'
import type { Catalogue } from '../config/policy-check.ts'
import { type Finding, type FindingCode, hasErrors } from '../config/problem.ts'
import {
  canonicalJson,
  patchBetween,
  type SyncedConfiguration,
  sha256,
} from '../config-sync/protocol/index.ts'

export interface PreparedPublication {
  /** All of them; with an error among them there is nothing else. */
  findings: Finding[]
  /** Canonical JSON. */
  text: string
  sha256: string
  /** From `before` to this one; absent: there is no `before`, or nothing is different. Canonical JSON. */
  patch?: string
}

/** What preparations are asked for; each of them looks at nothing but what it is given. */
export interface PreparationTasks {
  /** JSON of a `SyncedConfiguration`, and the canonical text of the one in force. */
  prepare: { question: { configuration: string; before?: string }; answer: PreparedPublication }
  /** JSON of resources. */
  check: { question: { resources: string }; answer: Finding[] }
  /** Canonical texts of two configurations. */
  patch: { question: { before: string; after: string }; answer: string }
}

export type PreparationTask = keyof PreparationTasks

export interface Preparation {
  /** @throws what keeps it from an answer */
  ask<Task extends PreparationTask>(
    task: Task,
    question: PreparationTasks[Task]['question'],
  ): Promise<PreparationTasks[Task]['answer']>
  close(): Promise<void>
}

/** The work itself, in whichever thread. */
export class Preparer {
  readonly #catalogue: Catalogue
  readonly #version: string

  /** @param version of the software */
  constructor(catalogue: Catalogue, version: string) {
    this.#catalogue = catalogue
    this.#version = version
  }

  answer<Task extends PreparationTask>(
    task: Task,
    question: PreparationTasks[Task]['question'],
  ): PreparationTasks[Task]['answer']
  answer(task: PreparationTask, question: unknown): unknown {
    switch (task) {
      case 'prepare':
        return this.#prepare(question as PreparationTasks['prepare']['question'])
      case 'check':
        return this.#findings(
          JSON.parse((question as PreparationTasks['check']['question']).resources) as Resources,
        )
      case 'patch': {
        const { before, after } = question as PreparationTasks['patch']['question']
        return canonicalJson(patchBetween(JSON.parse(before), JSON.parse(after)))
      }
    }
  }

  #prepare({ configuration, before }: PreparationTasks['prepare']['question']): PreparedPublication {
    const { resources } = JSON.parse(configuration) as SyncedConfiguration
    const findings = this.#findings(resources)
    if (hasErrors(findings)) return { findings, text: '', sha256: '' }
    // Read once more: the check fills in what was left open.
    const value = JSON.parse(configuration) as SyncedConfiguration
    const text = canonicalJson(value)
    const prepared = { findings, text, sha256: sha256(text) }
    if (before === undefined || before === text) return prepared
    return { ...prepared, patch: canonicalJson(patchBetween(JSON.parse(before), value)) }
  }

  /** By the rules of a start from files, as gateways hold it; but for what only their own settings say. */
  #findings(resources: Resources): Finding[] {
    const document = {
      file: '',
      value: resources,
      locate: (wanted: readonly unknown[]) => wanted.map(() => undefined),
    }
    const { findings } = check({ documents: [document], findings: [] }, this.#catalogue, {
      gatewayVersion: this.#version,
      zones: zonesElsewhere,
      planOnly: true,
    })
    return findings
      .filter(({ code }) => !ofGateways.has(code))
      .map(({ file: _, hint, ...finding }) => {
        const told = finding.code === 'unknown-policy' ? [hint, ofUnknownPolicies] : [hint]
        const text = told.filter((part) => part !== undefined).join(' ')
        return text === '' ? finding : { ...finding, hint: text }
      })
  }
}

type Resources = SyncedConfiguration['resources']

/** docs/decisions/0021-own-policies-stay-with-gateways.md */
export const ofUnknownPolicies =
  'A control plane has the policies of its own version. One that you wrote is code, which is not published: it comes with the gateway (`gateway.policies`), and routes that use it stand in the files of that gateway, beside those of the control plane.'

/** Whether these hold is decided where a gateway runs. */
const ofGateways: ReadonlySet<FindingCode> = new Set([
  'missing-variable',
  'unresolved-secret',
  'unknown-registry',
  'certificate-without-listener',
  'unverified-upstream',
  'used-setting',
])

/** Without a thread: for control planes with little to check, as in tests. */
export const preparedHere = (catalogue: Catalogue, version: string): Preparation => {
  const preparer = new Preparer(catalogue, version)
  return {
    ask: async (task, question) => preparer.answer(task, question),
    close: async () => {},
  }
}
