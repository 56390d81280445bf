import { conditionFinding, definePolicy, openInApisix, Type } from '../kit/index.ts'
import { bodyFields, expressionFindings, formatFields, LogEntries } from '../kit/logging/index.ts'
import { pathFinding } from './path.ts'

/** Entries in a file; configuration and entries of APISIX's `file-logger`. */
export default definePolicy({
  name: 'file-logger',
  summary: 'Writes an entry about each exchange to a file, one JSON object a line.',
  details:
    'A relative path begins in the working directory of the gateway. Lines are written off the path of requests; what the ' +
    'disk cannot take is dropped and counted. The file is opened anew on SIGUSR2, for rotation. Paths that lead out with ' +
    '`..`, and those under `/proc`, `/sys`, `/dev` (but for `/dev/stdout`, `/dev/stderr` and `/dev/null`) and `/etc`, are ' +
    'refused.',
  stage: 'transform',
  priority: 399,
  version: 0.1,
  config: Type.Object(
    {
      path: Type.Optional(Type.String({ description: 'The file; by default that of `plugin_metadata`.' })),
      ...formatFields,
      ...bodyFields,
      match: Type.Optional(
        Type.Array(Type.Unsafe<unknown[]>({ type: 'array' }), {
          maxItems: 20,
          description:
            'Conditions in the form of a route’s `vars`: an exchange is logged when one of them holds.',
        }),
      ),
    },
    openInApisix,
  ),
  metadata: Type.Object(
    {
      path: Type.Optional(Type.String({ description: 'The file, where the configuration names none.' })),
      ...formatFields,
    },
    openInApisix,
  ),
  validate(config) {
    const finding = config.path === undefined ? undefined : pathFinding(config.path)
    if (finding !== undefined) return `path: ${finding}`
    for (const vars of config.match ?? []) {
      const problem = conditionFinding(vars)
      if (problem !== undefined) return `failed to validate the 'match' expression: ${problem}`
    }
    return expressionFindings(config)
  },
  lacks: ({ path }, metadata) =>
    (path ?? metadata?.path) === undefined
      ? 'property "path" is not set in either the plugin conf or the metadata'
      : undefined,
  create(config, host) {
    const path = config.path ?? host.metadata?.path
    if (path === undefined || pathFinding(path) !== undefined) {
      host.log.error(
        { policy: 'file-logger', owner: host.binding.owner },
        'there is no file to write entries to',
      )
      return {}
    }
    const entries = new LogEntries(config, host)
    const conditions = (config.match ?? []).map((vars) => host.condition(vars))
    // With conditions no line may ever come, and then there is no file.
    const lines = host.lines({ type: 'file', path, soon: true, ahead: conditions.length === 0 })
    return {
      ...entries.bodyHandlers,
      observe(exchange) {
        if (conditions.length > 0 && !conditions.some((holds) => holds(exchange))) return
        lines.write(JSON.stringify(entries.read(exchange)))
      },
    }
  },
})
