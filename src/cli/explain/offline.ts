import { hostname } from 'node:os'
/** Explains a request by a configuration alone, with a gateway's working parts and without a gateway. */
import { addSources } from '../../admin/explain.ts'
import type { Configuration } from '../../config/configuration.ts'
import { diffPlans } from '../../config/diff.ts'
import type { SourceDocument } from '../../config/load.ts'
import type { Plan } from '../../config/plan.ts'
import { Provenance } from '../../config/provenance.ts'
import { SecretFields } from '../../config/secret-fields.ts'
import { loadCode } from '../../own-code.ts'
import { catalogue, policySchemas } from '../../policies/index.ts'
import type { OwnFunction } from '../../policies/kit/functions/own-function.ts'
import type { CounterStore } from '../../policies/kit/limits/counter-store.ts'
import { dryServices } from '../../policy-dry-run.ts'
import { PolicyResources } from '../../policy-resources.ts'
import { buildPolicies, type PolicyServices } from '../../policy-runtime.ts'
import { Delays } from '../../proxy/delays.ts'
import type { PolicyFactory } from '../../proxy/exchange.ts'
import type { RequestDescription } from '../../proxy/explain/description.ts'
import { explain } from '../../proxy/explain/explain.ts'
import type { Explanation } from '../../proxy/explain/explanation.ts'
import { compileCondition } from '../../proxy/expression.ts'
import { setBodyLimits } from '../../proxy/held-body.ts'
import { planUpstreams } from '../../proxy/plan-upstreams.ts'
import { Runtime } from '../../proxy/runtime.ts'
import { createLimitTable, Limiter, type LimitKey } from '../../proxy/shared/limiter.ts'
import { createLoadTable } from '../../proxy/shared/load-table.ts'
import { Presences } from '../../proxy/shared/presences.ts'
import { TrustedAddresses } from '../../proxy/trust.ts'
import { HealthRegister } from '../../proxy/upstream/health/health-register.ts'
import { createHealthTable } from '../../proxy/upstream/health/table.ts'
import { compileTemplate, compileVariable } from '../../proxy/variables.ts'
import { publicApiAt } from '../../public-apis.ts'

/** As for the first request of a gateway that has just started. */
export async function explainOffline(
  description: RequestDescription,
  plan: Plan,
  configuration: Configuration,
  documents: readonly SourceDocument[],
): Promise<Explanation> {
  const { settings, version } = plan
  const { functions } = await loadCode({ policies: [], functions: settings.functions.modules })
  const policies = policiesOf(plan, functions)
  const runtime = new Runtime(policies, settings.router, () => {}, new HealthRegister(createHealthTable(1)))
  setBodyLimits(settings)
  runtime.apply(diffPlans(null, plan))
  const trusted = new TrustedAddresses(settings.trusted_addresses)
  const explanation = await explain(
    { engine: { runtime, settings, trusted }, policies, version },
    description,
  )
  addSources(explanation, {
    configuration,
    provenance: new Provenance(documents),
    secrets: new SecretFields(policySchemas(catalogue)),
  })
  return explanation
}

function policiesOf(
  plan: Plan,
  functions: ReadonlyMap<string, OwnFunction>,
): ReadonlyMap<string, PolicyFactory> {
  const limiter = new Limiter(createLimitTable(limitTableBytes), 1)
  const presences = new Presences(createLoadTable(1, fewPresences), 1)
  const resources = new PolicyResources()
  resources.change(diffPlans(null, plan), () => {})
  const { prometheus } = plan.settings
  const upstreams = new Set(planUpstreams(plan).map(({ key }) => key))
  const services: PolicyServices = {
    mayAsk: false,
    limiter: {
      key: (text) => limiter.key(text),
      acquire: (key, windows, cost, out) => limiter.acquire(key as LimitKey, windows, cost, out),
      slide: (key, window, cost, out) => limiter.slide(key, window, cost, out),
      leak: (key, bucket, cost) => limiter.leak(key, bucket, cost),
      enter: (key, limit) => presences.enter(key, limit),
    },
    circuits: { isBroken: () => false, failed() {}, succeeded() {} },
    takeTurn: () => 0,
    lookAtTurn: () => 0,
    delays: new Delays(),
    metrics: { gauge: () => nothing, counter: () => nothing, histogram: () => nothing },
    prometheus,
    publicApi: (path) =>
      publicApiAt(path, plan.settings) === undefined ? undefined : async () => ({ status: 200 }),
    configOf: () => undefined,
    subrequest: async () => 'closed',
    counterStore: () => unusedStore,
    valueStore: () => ({ get: async () => undefined, set: async () => {}, delete: async () => {} }),
    calls: () => ({ call: () => Promise.reject(new Error('offline')) }),
    ownFunction: (key) => functions.get(key),
    cache: () => undefined,
    batches: { open: () => ({ push() {} }) as never },
    gateway: { hostname: hostname(), version: '' },
    lines: () => ({ write() {} }),
    log: { debug() {}, info() {}, warn() {}, error() {} },
    variable: compileVariable,
    template: compileTemplate,
    condition: compileCondition,
    consumers: () => resources.consumers(),
    contracts: () => resources.contracts(),
    proto: (id) => resources.proto(id),
    metadata: (policy) => resources.metadata(policy),
    hasUpstream: (key) => upstreams.has(key),
    isUpstreamUp: (key) => upstreams.has(key),
    upstreamOrigin: () => undefined,
    httpsPort: () => plan.settings.https_port,
    now: Date.now,
    onResourcesChanged() {},
  }
  return buildPolicies(catalogue, dryServices(services))
}

const nothing = { slot: () => 0, add() {}, observe() {} }
const limitTableBytes = 4096
/** Nothing was counted yet, and nothing is asked for it. */
const unusedStore: CounterStore = {
  acquire: async (_key, { limit, windowMs }) => ({ granted: 0, remaining: limit, resetMs: windowMs }),
  slide: async (_key, { limit, windowMs }) => ({ granted: 0, remaining: limit, resetMs: windowMs }),
  leak: async () => 0,
  enter: async () => 1,
  leave: async () => {},
}
const fewPresences = 16
