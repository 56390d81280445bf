import { definePolicy, openInApisix, Type } from '../kit/index.ts'
import { shippedLogSettings } from '../kit/logging/index.ts'

/** The gateway's own log, sent elsewhere; configuration of APISIX's `error-log-logger`. */
export default definePolicy({
  name: 'error-log-logger',
  summary: 'Sends the lines of the gateway’s own log to a server, in batches.',
  details:
    'Its `plugin_metadata` does all; on a route it has no effect. Lines are JSON, as on standard error, where they go too. ' +
    'What `log.level` of the gateway leaves out is not sent either; `NOTICE` is `INFO` here, and nothing is graver than ' +
    '`ERROR`. Over TCP each batch has a connection of its own, and each line ends with a line feed; the certificate of a ' +
    'TCP server is not verified, as in APISIX, that of the others is. At most 8192 lines wait; further ones are discarded, ' +
    'and counted in `sluice_shipped_log_lines_total{outcome}`. References to secrets are followed when the metadata is ' +
    'put to work.',
  stage: 'transform',
  priority: 1091,
  version: 0.1,
  config: Type.Object({}, openInApisix),
  metadata: shippedLogSettings,
  create: () => ({}),
})
