import {
  definePolicy,
  type Exchange,
  openInApisix,
  parseTolerantJson,
  RemoteDocument,
  serviceUrlProblem,
  Type,
  type Verdict,
} from '../kit/index.ts'
import { bodyFinding, parameterFinding } from './request.ts'
import { compileSpecification, type Specification, specificationFinding } from './specification.ts'

const largestSpecification = 16 * 1024 * 1024

const skip = (what: string) => Type.Boolean({ default: false, description: `${what} are not looked at.` })

/** Requests that an API's description allows; configuration and answers of APISIX's `oas-validator`. */
export default definePolicy({
  name: 'oas-validator',
  summary: 'Rejects requests that do not fit an OpenAPI document.',
  details:
    'Documents are JSON of OpenAPI 3.0 or 3.1. The path of a server in it (`/api/v3`) stands before every path. Bodies of ' +
    'JSON and forms are looked into; of others only the type is. Cookies and parameters that are maps are not looked ' +
    'at. References to other documents are not followed. A `spec` that cannot be used is a finding, where APISIX answers ' +
    'every request with 500, as is done here with one that cannot be fetched.\n\nOf a document at a URL, the one that was read last stays in use while a newer one cannot be fetched.',
  stage: 'authorize',
  priority: 512,
  config: Type.Object(
    {
      max_req_body_size: Type.Integer({
        minimum: 1,
        default: 67_108_864,
        description: 'Bytes of a body that is read; a larger one is rejected.',
      }),
      spec: Type.Optional(Type.String({ minLength: 1, description: 'The document.' })),
      spec_url: Type.Optional(
        Type.String({ pattern: '^https?://', description: 'Where it is fetched from.' }),
      ),
      spec_url_request_headers: Type.Optional(
        Type.Record(Type.String(), Type.String(), { description: 'Fields to fetch it with.' }),
      ),
      ssl_verify: Type.Boolean({
        default: false,
        description: 'Whether the certificate is checked where it is fetched.',
      }),
      timeout: Type.Integer({
        minimum: 1000,
        maximum: 60_000,
        default: 10_000,
        description: 'Milliseconds to fetch it.',
      }),
      verbose_errors: Type.Boolean({
        default: false,
        description: 'Whether callers are told what is wrong.',
      }),
      skip_request_body_validation: skip('Bodies'),
      skip_request_header_validation: skip('Fields'),
      skip_query_param_validation: skip('Parameters of the query'),
      skip_path_params_validation: skip('Parameters of the path'),
      reject_if_not_match: Type.Boolean({
        default: true,
        description: 'False: what does not fit is logged and goes on.',
      }),
      rejection_status_code: Type.Integer({
        minimum: 400,
        maximum: 599,
        default: 400,
        description: 'Status of a rejection.',
      }),
    },
    { ...openInApisix, oneOf: [{ required: ['spec'] }, { required: ['spec_url'] }] },
  ),
  metadata: Type.Object(
    {
      spec_url_ttl: Type.Integer({
        minimum: 1,
        default: 3600,
        description: 'Seconds after which a document is fetched again.',
      }),
    },
    openInApisix,
  ),
  validate({ spec, spec_url: url }) {
    if (spec !== undefined) {
      const read = parseTolerantJson(spec)
      if ('error' in read) return `invalid JSON string provided, err: ${read.error}`
      const finding = specificationFinding(spec)
      if (finding !== undefined) return finding
    }
    const problem = url === undefined ? undefined : serviceUrlProblem(url)
    return problem === undefined ? undefined : `spec_url ${problem}`
  },
  create(config, host) {
    const { log } = host
    const { max_req_body_size: limit, rejection_status_code: status } = config
    const skipped = {
      path: config.skip_path_params_validation,
      query: config.skip_query_param_validation,
      header: config.skip_request_header_validation,
    }
    const specification = source()

    function source(): () => Promise<Specification> {
      if (config.spec !== undefined) {
        const { spec } = config
        const compiled = (async () => compileSpecification(spec))()
        compiled.catch((error: Error) =>
          log.error({ reason: error.message }, 'an OpenAPI document is not usable'),
        )
        return () => compiled
      }
      const calls = host.calls({
        timeout: config.timeout,
        verify: config.ssl_verify,
        largestAnswer: largestSpecification,
      })
      const headers = config.spec_url_request_headers ?? {}
      const load = async () => {
        const answer = await calls.call({ method: 'GET', url: config.spec_url!, headers })
        if (answer.status !== 200) throw new Error(`spec URL returned status ${answer.status}`)
        return compileSpecification(answer.body.toString())
      }
      const document = new RemoteDocument(load, () => host.now(), {
        goodFor: (host.metadata?.spec_url_ttl ?? 3600) * 1000,
      })
      return () => document.get()
    }

    async function finding({ request }: Exchange, { find }: Specification): Promise<string | undefined> {
      const found = find(request.method, request.path)
      if (found === undefined) return 'no operation has this method and path'
      const problem = parameterFinding(found, request, skipped)
      const { body } = found.operation
      if (problem !== undefined || body === undefined || config.skip_request_body_validation) return problem
      const text = await request.readBody(limit)
      return text === null
        ? 'the body is too large'
        : bodyFinding(body, text, request.headers.getAll('content-type'))
    }

    return {
      async request(exchange): Promise<Verdict | undefined> {
        let known: Specification
        try {
          known = await specification()
        } catch (error) {
          log.error(
            { reason: (error as Error).message },
            'there is no OpenAPI document to compare requests with',
          )
          return { status: 500, body: { message: 'failed to parse openapi spec' } }
        }
        const problem = await finding(exchange, known)
        if (problem === undefined) return undefined
        log.error({ reason: problem }, 'error occurred while validating request')
        if (!config.reject_if_not_match) return undefined
        const reason = config.verbose_errors ? problem : ''
        return { status, body: { message: `failed to validate request. ${reason}` } }
      },
    }
  },
})
