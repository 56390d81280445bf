import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { clientApplications } from '../clients.ts'
import type { Work } from '../work.ts'
import type { Opponent } from './opponent.ts'
import { missingProgram } from './program.ts'

/** One thread, connections to the upstream always reused. Its chains are the nearest that its own directives offer. */
export const haproxy: Opponent = {
  name: 'haproxy',
  native: true,
  missing: () => missingProgram('haproxy'),
  does: (work) => work.routes === 1 && !work.tls,
  /** It cannot open files itself; standard output is one (launch.ts). */
  accessLog: (folder) => join(folder, 'output.log'),

  prepare({ site, folder, port, work }) {
    const path = join(folder, 'haproxy.cfg')
    const keys = join(folder, 'keys.map')
    writeFileSync(keys, clientApplications.map(({ id, key }) => `${key} ${id}\n`).join(''))
    writeFileSync(
      path,
      `global
  nbthread 1
  maxconn 4000
  ${work.accessLog ? 'log stdout format raw local0' : ''}
defaults
${work.tcp ? '  mode tcp' : '  mode http\n  http-reuse always'}
  timeout connect 5s
  timeout client 60s
  timeout server 60s
userlist applications
${clientApplications.map(({ id, secret }) => `  user ${id} insecure-password ${secret}`).join('\n')}
frontend traffic
  bind 127.0.0.1:${port} backlog 4096
${work.accessLog ? logLines : ''}
${chainLines(work.chain, keys)}
  default_backend service
backend service
  server upstream 127.0.0.1:${site.upstreamPort}
`,
    )
    return ['haproxy', '-db', '-f', path]
  },
}

function chainLines(chain: Work['chain'], keys: string): string {
  switch (chain) {
    case 'none':
      return ''
    case 'client-id':
      return `  http-request auth realm orders unless { http_auth(applications) }
  http-request set-var(txn.caller) req.hdr(authorization)
${limitAndCorsLines}`
    case 'key-auth':
      return `  http-request set-var(txn.caller) req.hdr(apikey),map_str(${keys})
  http-request deny deny_status 401 unless { var(txn.caller) -m found }
${limitAndCorsLines}`
  }
}

/** Metrics need no line: HAProxy counts every request in any case. */
const limitAndCorsLines = `  stick-table type string len 128 size 10k expire 2m store http_req_rate(60s)
  http-request track-sc0 var(txn.caller)
  http-request set-var(txn.rate) sc_http_req_rate(0)
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt 100000000 }
  http-response set-header X-RateLimit-Limit 100000000
  http-response set-header X-RateLimit-Remaining %[int(100000000),sub(txn.rate)]
  http-response set-header Access-Control-Allow-Origin "*"
  http-response set-header Access-Control-Allow-Methods "*"
  http-response set-header Access-Control-Allow-Headers "*"`

const logLines = `  log global
  log-format '{"time":"%t","client":"%ci:%cp","method":"%HM","path":"%HU","status":%ST,"bytes":%B,"total_ms":%Ta,"server":"%s"}'`
