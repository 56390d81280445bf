/** What is counted of a request to a language model. */
import type { ModelCall } from '../kit/ai/call.ts'
import type { Counter, Exchange, Histogram, Metrics, PrometheusSettings } from '../kit/index.ts'
import { llmMetricLabels } from './instruments.ts'
import type { SeriesLabels } from './series.ts'

/** Characters of the name of a model, which clients choose. */
const longestModel = 128
const tokenBuckets = [
  1, 10, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
]

/** Labels of all metrics that tell what kind of request it was. */
export interface ModelLabels {
  readonly request_type: string
  readonly request_llm_model: string
  readonly llm_model: string
}

type LlmMetric = keyof typeof llmMetricLabels
type DisabledLabels = { readonly [Metric in LlmMetric]?: readonly string[] | undefined }

interface Instruments {
  readonly latency: Histogram
  readonly promptTokens: Counter
  readonly completionTokens: Counter
  readonly promptSizes: Histogram
  readonly completionSizes: Histogram
}

export function modelLabels({ body, isStream, model }: ModelCall): ModelLabels {
  const asked = typeof body.model === 'string' ? body.model : ''
  return {
    request_type: isStream ? 'ai_stream' : 'ai_chat',
    request_llm_model: asked.slice(0, longestModel),
    llm_model: model.slice(0, longestModel),
  }
}

export function countModelCall(
  metrics: Metrics,
  settings: PrometheusSettings,
  { response }: Exchange,
  call: ModelCall,
  labels: SeriesLabels & ModelLabels,
  disabled: DisabledLabels,
): void {
  const instruments = instrumentsOf(metrics, settings)
  const values = (metric: LlmMetric): string[] => {
    const { route: route_id, service: service_id } = labels
    const known: Readonly<Record<string, string>> = { ...labels, route_id, service_id }
    return llmMetricLabels[metric].map((label) =>
      disabled[metric]?.includes(label) ? '' : (known[label] ?? ''),
    )
  }
  const { latency } = instruments
  // There is no label for the status, so that it is the latency of what was served.
  if (call.firstAfter >= 0 && response.status < 400) {
    latency.observe(latency.slot(['total', ...values('llm_latency')]), Math.floor(call.endAfter))
    if (call.isStream)
      latency.observe(latency.slot(['ttft', ...values('llm_latency')]), Math.floor(call.firstAfter))
  }
  const { prompt_tokens: prompt = 0, completion_tokens: completion = 0 } = call.answer?.usage ?? {}
  const { promptTokens, completionTokens, promptSizes, completionSizes } = instruments
  promptTokens.add(promptTokens.slot(values('llm_prompt_tokens')), prompt)
  promptSizes.observe(promptSizes.slot(values('llm_prompt_tokens_dist')), prompt)
  completionTokens.add(completionTokens.slot(values('llm_completion_tokens')), completion)
  completionSizes.observe(completionSizes.slot(values('llm_completion_tokens_dist')), completion)
}

const known = new WeakMap<Metrics, Instruments>()

function instrumentsOf(metrics: Metrics, { latency_buckets: buckets }: PrometheusSettings): Instruments {
  let instruments = known.get(metrics)
  if (instruments === undefined) {
    const names = (metric: LlmMetric) => [...llmMetricLabels[metric]]
    instruments = {
      latency: metrics.histogram(
        'apisix_llm_latency',
        'LLM request latency in milliseconds',
        ['type', ...names('llm_latency')],
        buckets,
      ),
      promptTokens: metrics.counter(
        'apisix_llm_prompt_tokens',
        'Prompt tokens that LLM services counted',
        names('llm_prompt_tokens'),
      ),
      completionTokens: metrics.counter(
        'apisix_llm_completion_tokens',
        'Completion tokens that LLM services counted',
        names('llm_completion_tokens'),
      ),
      promptSizes: metrics.histogram(
        'apisix_llm_prompt_tokens_dist',
        'Prompt tokens of a request',
        names('llm_prompt_tokens_dist'),
        tokenBuckets,
      ),
      completionSizes: metrics.histogram(
        'apisix_llm_completion_tokens_dist',
        'Completion tokens of a request',
        names('llm_completion_tokens_dist'),
        tokenBuckets,
      ),
    }
    known.set(metrics, instruments)
  }
  return instruments
}
