/** The page of all causes, out of the table of errors. */
import { errors } from './errors.ts'

export function causeReference(): string {
  const rows = Object.values(errors)
    .toSorted((a, b) => a.source.localeCompare(b.source) || a.status - b.status)
    .map(({ source, code, status, meaning }) => `| ${source} | \`${code}\` | ${status} | ${meaning} |`)
  return `# Causes

Each answer that the gateway makes by itself has a cause: who caused it, and a code that never changes its meaning. It stands

- in logs, as \`$cause_source\` and \`$cause_code\` of a \`log_format\`, and as \`error.code\` of \`message-logging\`,
- in \`sluice_own_answers_total{source,code}\`,
- in traces, as \`sluice.error.code\` and \`sluice.answered_by\`,
- with \`gateway.forwarding.show_cause\`, in the field \`X-Sluice-Cause\` of the answer: \`upstream upstream_timeout\`.

Where a policy answered, the source is \`policy\` and the code its name. The others are these; the page is made out of the
gateway's own table.

| source | code | status | meaning |
|---|---|---|---|
${rows.join('\n')}
`
}
