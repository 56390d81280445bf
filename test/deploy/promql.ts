/** What a PromQL expression asks for, read by Prometheus' own grammar. */
import { parser } from '@prometheus-io/lezer-promql'

export interface Query {
  /** Names of metrics. */
  metrics: string[]
  /** Pairs of a metric and a label that is matched on it. */
  matchers: { metric: string; label: string }[]
  /** Labels by which something is grouped. */
  groupings: string[]
}

/** @throws SyntaxError when it is no expression */
export function readQuery(expression: string): Query {
  const query: Query = { metrics: [], matchers: [], groupings: [] }
  const within: string[] = []
  let metric = ''
  parser.parse(expression).iterate({
    enter({ name, type, from, to }) {
      const text = expression.slice(from, to)
      if (type.isError) throw new SyntaxError(`at ${from}: ${expression}`)
      if (name === 'Identifier' && within.at(-1) === 'VectorSelector') {
        metric = text
        query.metrics.push(metric)
      }
      if (name === 'LabelName') {
        if (within.includes('GroupingLabels')) query.groupings.push(text)
        else query.matchers.push({ metric, label: text })
      }
      within.push(name)
    },
    leave() {
      within.pop()
    },
  })
  return query
}
