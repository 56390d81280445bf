/** What variables and loggers are told of a request to a language model. */
import type { Exchange } from '../../../proxy/exchange.ts'
import { type ModelCall, modelCall } from './call.ts'
import { conversationOf, endUserOf, listOf } from './chat.ts'
import { bytes } from './json-request.ts'

interface Logging {
  readonly summaries: boolean
  readonly payloads: boolean
}

/** For `observe`. */
export function tellOf(logging: Logging | undefined): (exchange: Exchange) => void {
  return (exchange) => {
    const call = modelCall(exchange)
    if (call === undefined) return
    call.leave?.()
    call.leave = null
    const facts = factsOf(call)
    const told: Record<string, string> = { ...exchange.told }
    for (const [name, value] of Object.entries(facts))
      if (value !== undefined) told[name] = typeof value === 'string' ? bytes(value) : String(value)
    told.upstream_addr = call.attempts.map(({ address }) => address).join(', ')
    told.upstream_status = call.attempts.map(({ status }) => status).join(', ')
    exchange.told = told
    if (logging?.summaries) {
      exchange.logged = { ...exchange.logged, llm_summary: summaryOf(facts, exchange) }
    }
    if (logging?.payloads) {
      exchange.logged = {
        ...exchange.logged,
        llm_request: { messages: conversationOf(call.body, call.protocol), stream: call.isStream },
        llm_response_text: { content: call.answer?.text },
      }
    }
  }
}

function factsOf(call: ModelCall) {
  const { answer, sent = call.body } = call
  const usage = answer?.usage
  return {
    request_llm_model: typeof call.body.model === 'string' ? call.body.model : undefined,
    llm_model: call.model,
    llm_stream: String(call.isStream),
    llm_time_to_first_token: Math.max(0, Math.floor(call.firstAfter)),
    apisix_upstream_response_time: Math.max(0, Math.floor(call.endAfter)),
    llm_prompt_tokens: usage?.prompt_tokens ?? 0,
    llm_completion_tokens: usage?.completion_tokens ?? 0,
    llm_total_tokens: usage?.total_tokens ?? 0,
    llm_cache_read_input_tokens: usage?.cache_read_input_tokens ?? 0,
    llm_cache_creation_input_tokens: usage?.cache_creation_input_tokens ?? 0,
    llm_reasoning_tokens: usage?.reasoning_tokens ?? 0,
    llm_has_tool_calls: String(answer?.callsTools === true),
    llm_tool_count: listOf(sent.tools).length,
    llm_end_user_id: endUserOf(call.body, call.protocol),
  }
}

function summaryOf(facts: ReturnType<typeof factsOf>, { told }: Exchange): Record<string, unknown> {
  return {
    request_model: facts.request_llm_model,
    model: facts.llm_model,
    duration: facts.llm_time_to_first_token,
    prompt_tokens: facts.llm_prompt_tokens,
    completion_tokens: facts.llm_completion_tokens,
    total_tokens: facts.llm_total_tokens,
    upstream_response_time: facts.apisix_upstream_response_time,
    stream: facts.llm_stream,
    tool_count: facts.llm_tool_count,
    has_tool_calls: facts.llm_has_tool_calls,
    end_user_id: facts.llm_end_user_id,
    cache_read_input_tokens: facts.llm_cache_read_input_tokens,
    cache_creation_input_tokens: facts.llm_cache_creation_input_tokens,
    reasoning_tokens: facts.llm_reasoning_tokens,
    content_risk_level: told?.llm_content_risk_level,
  }
}
