import { addMessages, isJson, type Json, protocolOf, readJson, writeJson } from '../kit/ai/index.ts'
import { CallError, definePolicy, jsonOf, openInApisix, Type, type Verdict } from '../kit/index.ts'

const largestRequest = 64 * 1024 * 1024
const largestAnswer = 64 * 1024 * 1024

const service = (what: string) =>
  Type.Object(
    {
      endpoint: Type.String({
        pattern: '^https?://[^/?#\\s]+([/?][^#\\s]*)?$',
        'x-apisix': { pattern: undefined },
        'x-form': 'a URL that begins with http:// or https://',
        description: `Where ${what} is, with its whole path and query.`,
      }),
      api_key: Type.String({ 'x-secret': true, description: 'Sent as `api-key`.' }),
    },
    { ...openInApisix, description: `The service that is ${what}.` },
  )

const provider = (name: string, what: string, description: string) =>
  Type.Object({ [name]: service(what) }, { ...openInApisix, maxProperties: 1, description })

interface Service {
  readonly endpoint: string
  readonly api_key: string
}

/** Configuration and answers of APISIX's `ai-rag`. */
export default definePolicy({
  name: 'ai-rag',
  summary: 'Looks up what is known about a question, and puts it into the request to a language model.',
  details:
    'A request says in `ai_rag` what to look up: `embeddings.input` is made into a vector by Azure OpenAI, with all that ' +
    'stands beside it, and `vector_search.fields` names the fields in which Azure AI Search looks for the vector. What is ' +
    'found becomes a message of the user behind the others, and `ai_rag` is taken out. Nothing else of the client goes to ' +
    'these services. A body that is no JSON object or says this in another form is answered with 400; a service that ' +
    'does not answer, or with something that is no vector, with 500; one that refuses with its own status and body, as ' +
    'text.\n\nWhat is found is not checked: whoever can write into the index can talk to the model.',
  stage: 'authorize',
  priority: 1060,
  config: Type.Object(
    {
      embeddings_provider: provider('azure_openai', 'Azure OpenAI', 'What makes vectors out of texts.'),
      vector_search_provider: provider('azure_ai_search', 'Azure AI Search', 'What finds vectors.'),
      ssl_verify: Type.Boolean({ default: true, description: 'Check the certificates of both.' }),
    },
    openInApisix,
  ),
  create(config, host) {
    const embeddings = config.embeddings_provider.azure_openai as Service
    const search = config.vector_search_provider.azure_ai_search as Service
    // APISIX waits as long as its HTTP client does.
    const calls = host.calls({ timeout: 60_000, verify: config.ssl_verify, largestAnswer })

    /** The answer of a service, or what the client gets in its place. */
    async function asked({ endpoint, api_key: key }: Service, what: string, body: Json) {
      try {
        const headers = { 'content-type': 'application/json', 'api-key': key }
        const answer = await calls.call({
          method: 'POST',
          url: endpoint,
          headers,
          body: JSON.stringify(body),
        })
        if (answer.status === 200) return { answer }
        host.log.error({ status: answer.status }, `ai-rag gets no ${what}`)
        const text = answer.body.toString()
        return { refusal: { status: answer.status, ...(text !== '' && { body: text }) } }
      } catch (error) {
        if (!(error instanceof CallError)) throw error
        host.log.error({ reason: error.message }, `ai-rag gets no ${what}`)
        return { refusal: { status: 500 } }
      }
    }

    return {
      async request(exchange): Promise<Verdict | undefined> {
        const read = await readJson(exchange, largestRequest)
        if ('refusal' in read) return read.refusal
        const { ai_rag: wanted, ...body } = read.body
        const [question, fields] = isJson(wanted) ? [wanted.embeddings, wanted.vector_search] : []
        if (!isJson(question) || typeof question.input !== 'string') return { status: 400 }
        if (!isJson(fields) || typeof fields.fields !== 'string') return { status: 400 }

        const made = await asked(embeddings, 'vector', question)
        if ('refusal' in made) return made.refusal
        const vector = vectorOf(jsonOf(made.answer))
        if (vector === undefined) {
          host.log.error({}, 'ai-rag gets no vector')
          return { status: 500 }
        }
        const query = { vectorQueries: [{ kind: 'vector', vector, fields: fields.fields }] }
        const found = await asked(search, 'result', query)
        if ('refusal' in found) return found.refusal

        const message = { role: 'user', content: found.answer.body.toString() }
        addMessages(body, protocolOf(body, exchange.request.path) ?? 'openai-chat', [], [message])
        writeJson(exchange, body)
        return undefined
      },
    }
  },
})

function vectorOf(answer: unknown): unknown[] | undefined {
  const first = isJson(answer) && Array.isArray(answer.data) ? (answer.data[0] as unknown) : undefined
  return isJson(first) && Array.isArray(first.embedding) ? first.embedding : undefined
}
