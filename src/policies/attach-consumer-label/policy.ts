import { definePolicy, headerName, headerNameProblem, openInApisix, Type } from '../kit/index.ts'

/** Labels of the consumer for the upstream; configuration of APISIX's `attach-consumer-label`. */
export default definePolicy({
  name: 'attach-consumer-label',
  summary: 'Tells the upstream labels of the consumer, as fields of the request.',
  details:
    'A field of the client with one of these names never reaches the upstream: without a consumer, or without the ' +
    'label, the upstream gets no such field.',
  stage: 'authorize',
  priority: 2399,
  config: Type.Object(
    {
      headers: Type.Record(
        Type.String(),
        Type.String({ pattern: '^\\$.*', 'x-form': 'the name of a label after $' }),
        {
          minProperties: 1,
          description: 'Name of a field, and `$` with the name of the label that it tells.',
          'x-apisix': {
            additionalProperties: { type: 'string', pattern: '^\\$.*' },
            patternProperties: undefined,
          },
        },
      ),
    },
    openInApisix,
  ),
  validate({ headers }) {
    for (const name of Object.keys(headers)) {
      const problem = headerNameProblem(name)
      if (problem !== undefined) return problem
    }
    return undefined
  },
  create({ headers }) {
    const fields = Object.entries(headers).map(([name, label]) => ({
      name: headerName(name),
      label: label.slice(1),
    }))
    return {
      request({ request, consumer }) {
        const labels = consumer?.spec.labels
        for (const { name, label } of fields) {
          const value = labels !== undefined && Object.hasOwn(labels, label) ? labels[label] : undefined
          if (value === undefined) request.headers.remove(name)
          else request.headers.set(name, Buffer.from(value).toString('latin1'))
        }
      },
    }
  },
})
